"""Results of a job for people and programs: one row per image that was found or tried, one summary per submission.

    rows.py        an item or a summary as cells: the columns of every table (pure)
    records.py     the same as JSON, whole (pure)
    tables.py      CSV and JSON Lines
    workbook.py    XLSX, a sheet for images and one for addresses
    page.py        HTML: one page with charts and filters and nothing from elsewhere; charts.py draws
    formats.py     all of them by name

What this package deliberately does not do: it holds no more of a job than a page of rows at a time, shows no picture
and writes no link.
"""
