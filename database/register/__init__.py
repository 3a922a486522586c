"""Reading a museum's register: any CSV or spreadsheet, whatever its encoding, delimiter and column names."""
