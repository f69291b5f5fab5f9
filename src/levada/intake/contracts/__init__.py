"""Reading a tenant's file by its contract: text in, arrays in SI and UTC out, and a problem for each row that cannot be read.

Read parsed.py (what comes out), sheet.py (bytes -> lines and cells), numbers.py and stamps.py (cells -> arrays), clocks.py (local
time -> UTC), read.py (wide and long files). Pure: no database, no clock; may import domain only.
"""
