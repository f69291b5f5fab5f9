#!/bin/sh
# The page tests drive a real browser. Install Debian's Chromium where it is missing and we may (root on Debian); elsewhere say so.
set -u
if command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "set-up: installing Debian's chromium for the page tests ..."
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; } && exit 0
fi
if [ "${CI:-}" = "true" ]; then echo "set-up: no chromium, and it could not be installed: the page tests cannot run" >&2; exit 1; fi
echo "set-up: NO CHROMIUM: the page tests will be skipped. Install it (Debian: apt-get install chromium) to run them." >&2
