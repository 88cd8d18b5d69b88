"""The pages of Prometheus and podinfo, opened from JupyterLab behind a prefix as Binder has one."""

from jupyterlab_page import Notebook
from playwright.sync_api import expect


def test_the_plots_query_is_drawn_by_prometheus_own_page(notebook: Notebook):
    browser = notebook.page.context

    early = browser.new_page()
    early.goto(notebook.address.format("prometheus/"))
    expect(early.get_by_role("heading")).to_have_text("Prometheus is not there")
    expect(early.locator("body")).to_contain_text("Run the first cells of a lesson")

    notebook.open("03-release.ipynb")
    notebook.run("interval = ")
    notebook.run("connect()", seconds=120)
    early.get_by_role("link", name="load this page again").click()
    expect(early).to_have_title("Prometheus Time Series Collection and Processing Server")

    link = notebook.run("graph(query)").get_by_role("link", name="Open Prometheus in a new tab")
    with browser.expect_page() as opened:
        link.click()
    page = opened.value
    expect(page.locator(".rickshaw_graph path").first).to_be_attached()  # a level line has no height: "not visible"
    expect(page.locator(".legend")).to_contain_text("podinfo-primary")
    page.screenshot(path=notebook.pictures / "prometheus.png")
    page.get_by_text("Console", exact=True).click()  # as a table
    expect(page.locator(".table")).to_contain_text("podinfo-primary")

    podinfo = browser.new_page()
    podinfo.goto(notebook.address.format("podinfo/"))
    expect(podinfo.locator("body")).to_contain_text("greetings from podinfo")


def test_the_launcher_opens_both(notebook: Notebook):
    notebook.page.goto(notebook.address.format("lab") + "&reset")
    for name in ("Prometheus", "podinfo"):
        card = notebook.page.locator(".jp-LauncherCard", has_text=name)
        expect(card.locator("img")).to_be_visible()
    notebook.picture("launcher")
    with notebook.page.context.expect_page() as opened:
        notebook.page.locator(".jp-LauncherCard", has_text="podinfo").click()
    expect(opened.value.locator("body")).to_contain_text("greetings from podinfo")
