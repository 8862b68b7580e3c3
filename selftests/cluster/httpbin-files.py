# SPDX-License-Identifier: Apache-2.0
"""Prints what of Debian's dist-packages httpbin needs below gunicorn: names of files and directories, one a line."""
import os
import sys

ROOT = "/usr/lib/python3/dist-packages/"
sys.path.append(ROOT)

import gunicorn.app.wsgiapp  # noqa: E402, F401
import gunicorn.workers.gthread  # noqa: E402, F401
import httpbin  # noqa: E402, F401

names = set()
for module in list(sys.modules.values()):
	path = getattr(module, "__file__", None) or ""
	if path.startswith(ROOT):
		names.add(path[len(ROOT):].split("/")[0])
# Versions are looked up at run time.
for name in os.listdir(ROOT):
	if name.endswith((".egg-info", ".dist-info")) and name.split("-")[0].lower() in {n.lower().removesuffix(".py") for n in names}:
		names.add(name)
print("\n".join(sorted(names)))
