"""Sphinx: MyST pages, executed while they are built; everything a page needs lies beside it."""

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

# What the kernels of the pages inherit: figures, and programs compiled once for all pages.
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE / "_build" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "posterium"
author = "The posterium maintainers"
copyright = "The posterium maintainers"
release = metadata.version("posterium")

extensions = [
    "command",
    "gallery",
    "tabs",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "jupyter_execute"]
nitpicky = False

myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = True

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

copybutton_exclude = ".linenos, .gp, .go"
mathjax_path = "mathjax/tex-chtml.js"

html_theme = "sphinx_book_theme"
html_title = "posterium"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "show_navbar_depth": 1,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
}
html_show_sourcelink = False
html_copy_source = False

# Links to other sites cannot be checked without a network: `make docs-links` does it.
linkcheck_timeout = 20
