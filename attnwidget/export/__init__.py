"""Records for other libraries: numpy, xarray, pandas, matplotlib."""
