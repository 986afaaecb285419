"""The documentation as a site, as ``scripts/docs`` builds it."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, FLAGS, served

ROOT = Path(__file__).parents[1]


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, root / "scripts/docs", out], capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    out = tmp_path_factory.mktemp("site") / "site"
    done = build(ROOT, out)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [str(out)]
    return out


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "examples/README.md", ROOT / "checkpoints/README.md"]
    addresses = [page.relative_to(ROOT).with_suffix("").as_posix().removesuffix("README") for page in pages]
    assert len(addresses) > 20
    assert [address for address in addresses if not (site / address / "index.html").is_file()] == []
    assert list(site.rglob("*.onnx")) == []


@pytest.mark.parametrize("name", ["", ".errors", ".images", ".inspect", ".losses", ".networks", ".training"])
def test_the_reference_has_every_public_class_and_function(name: str, site: Path) -> None:
    module = importlib.import_module(f"fast_style{name}")
    page = (site / f"api/fast_style{name}/index.html").read_text(encoding="utf-8")
    assert not re.search(r":(class|func|meth):", page)
    public = getattr(module, "__all__", None) or [each for each in vars(module) if each.endswith("Error")]
    documented = [
        each for each in public if inspect.isroutine(value := getattr(module, each)) or inspect.isclass(value)
    ]
    assert documented
    assert [each for each in documented if not re.search(rf'id="[\w.]+\.{each}"', page)] == []


def test_nothing_comes_from_other_servers(site: Path) -> None:
    for page in site.rglob("index.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=\"?(https?:[^\" >]+)", text)
        fetched += re.findall(r"<link rel=\"?(?:stylesheet|preconnect)[^>]* href=\"?(https?:[^\" >]+)", text)
        assert fetched == [], page


def test_a_link_that_leads_nowhere_ends_the_build(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "fast_style").mkdir(parents=True)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(ROOT / "fast_style" / name, root / "fast_style")
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copy(ROOT / "mkdocs.yml", root)
    for name in ("checkpoints", "docker", "docs", "examples"):
        (root / name).mkdir()
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"):
        (root / name).write_text("# Heading")
    (root / "README.md").write_text("[a page](docs/absent.md), [a heading](CHANGELOG.md#absent)")
    done = build(root, tmp_path / "out")
    assert done.returncode == 1
    assert "'README.md' contains a link 'docs/absent.md'" in done.stdout
    assert "doc 'CHANGELOG.md' does not contain an anchor '#absent'" in done.stdout


def test_search_finds_a_page(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with served(site) as address, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(180_000)
        page.goto(address)
        # Key by key: the page looks at the field when a key comes up, not when its text is set.
        page.locator(".md-search__input").press_sequentially("Gram matrix")
        page.wait_for_selector(".md-search-result__link")
        found = page.eval_on_selector_all(".md-search-result__link", "links => links.map(link => link.href)")
        assert any("/docs/inspect/" in link for link in found)
        browser.close()
