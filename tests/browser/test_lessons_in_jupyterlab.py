"""A person's way through two lessons: what is pressed does something, and what happens can be seen."""

import re

from jupyterlab_page import Notebook
from playwright.sync_api import expect

DATA = ".js-plotly-plot .scatterlayer .trace"  # one for each line in the plot


def test_a_version_is_picked_released_and_watched_to_its_success(notebook: Notebook):
    notebook.open("03-release.ipynb")
    notebook.run("interval = ")
    notebook.run("connect()", seconds=120)

    picker = notebook.run("picker = ImagePicker")
    picker.get_by_label("Version").select_option("2.0.0  (users get this one)")
    expect(picker).to_contain_text("Flagger ignores it")
    expect(picker.get_by_role("button", name="Release")).to_be_disabled()
    picker.get_by_label("Version").focus()
    notebook.page.keyboard.type("2.1.2")  # keys that mean "make this cell a heading" to the notebook
    expect(picker).to_contain_text("podinfod=stefanprodan/podinfo:2.1.2")
    notebook.picture("picker", picker)
    notebook.page.keyboard.press("Tab")
    expect(picker.get_by_role("button", name="Release")).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(picker.get_by_role("status")).to_contain_text("The image is set")

    notebook.run("if picker.release is None")
    board = notebook.run("board = ReleaseBoard")
    expect(board).to_contain_text("Progressing")
    for series in ("primary", "shifted", "mirrored"):
        expect(board.locator(".js-plotly-plot .legend")).to_contain_text(f"{series}:")
    expect(board).to_contain_text(re.compile("canary (20|40|60)%"))
    card, stream, graph = map(notebook.run, ("ExplainCard(canary)", "UserStream(", "ServiceGraph("))
    expect(card).to_contain_text("request-success-rate")
    expect(stream).to_contain_text("answers by the primary")
    expect(graph).to_contain_text("podinfo-primary")
    for name, cell in {"board": board, "card": card, "stream": stream, "graph": graph}.items():
        notebook.picture(name, cell)
    notebook.theme("JupyterLab Dark")
    for name, cell in {"picker": picker, "board": board, "card": card, "stream": stream, "graph": graph}.items():
        notebook.picture(f"{name}-dark", cell)

    notebook.run("board.wait()", seconds=90)
    expect(board).to_contain_text("Succeeded")
    expect(board).to_contain_text("Promotion completed")
    expect(board.locator(DATA)).to_have_count(3 + 3 + 2)  # requests, weights, checks
    expect(picker.get_by_role("status")).to_contain_text("Succeeded after")
    expect(picker.get_by_label("Version")).to_have_value("2.1.2  (users get this one)")
    expect(notebook.run("print(release.weights)")).to_contain_text("[20, 40, 60]")
    expect(notebook.run("users = release.impact()")).to_contain_text(", 0 of them failed; mirrored:")
    assert notebook.complaints == []


def test_a_version_with_errors_is_rolled_back_and_no_user_sees_one(notebook: Notebook):
    notebook.open("04-rollback.ipynb")
    notebook.run("interval = ")
    notebook.run("connect()", seconds=120)
    told = notebook.start("errors = canary.release")
    expect(told.locator(DATA).first).to_be_visible()
    expect(told).to_contain_text("Progressing")
    notebook.finished(told, seconds=90)
    expect(told).to_contain_text("Halt podinfo.test advancement success rate")
    expect(told).to_contain_text("Rolling back podinfo.test")
    card = notebook.run("ExplainCard(canary)")
    expect(card).to_contain_text("✘ fails")
    notebook.picture("rolled-back", told)
    notebook.picture("card-rolled-back", card)
    users = notebook.run("users = errors.impact()")
    expect(users).to_contain_text(
        re.compile(r"answered, 0 of them failed; mirrored: \d+ requests, [1-9]\d* of them failed")
    )
    assert notebook.complaints == []
