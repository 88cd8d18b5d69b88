"""What varies between two runs, replaced by its name, so that all else is compared letter by letter."""

from __future__ import annotations

import re

# Random parts of names have no vowels and none of the digits 0, 1 and 3, so no word looks like one.
SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
RULES = [
    (r"(?<=\S) {2,}", "  "),  # a column is as wide as its longest entry, which may be an age
    (r" +$", ""),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "{time}"),
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}", "{date}"),
    (r"(?<![0-9a-f])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "{uid}"),
    (r"\b(resource ?version\"?: *\"?)\d+", r"\1{version}"),
    (r"\b\d{1,3}(\.\d{1,3}){3}\b", "{ip}"),
    (r"\b(Image ID|Container ID): .*", r"\1: {id}"),
    (rf"\b(pod-template-hash\"?[=:] *\"?){SAFE}{{8,10}}\b", r"\1{hash}"),
    (rf"\b(web|stuck|idle)-{SAFE}{{8,10}}-{SAFE}{{5}}\b", r"\1-{hash}-{suffix}"),
    (rf"\b(web|stuck|idle)-{SAFE}{{8,10}}\b", r"\1-{hash}"),
    (rf"\b(web|kube-api-access)-{SAFE}{{5}}\b", r"\1-{suffix}"),
    (r"\bapiserver-[a-z0-9]{26}\b", "apiserver-{suffix}"),
    (r"(?:(?<=^)|(?<=[^:]  ))\d+[smhd](\d+[smh])?( \(x\d+ over \d+[smhd](\d+[smh])?\))?(?=  |$)", "{age}"),
]
COMPILED = [(re.compile(pattern, re.IGNORECASE if "resource" in pattern else 0), name) for pattern, name in RULES]


def normal(line: str) -> str:
    for pattern, name in COMPILED:
        line = pattern.sub(name, line)
    return line
