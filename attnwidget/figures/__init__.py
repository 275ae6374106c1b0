"""Figures for paper: their options, what of a record they show, and files from the SVG that the renderer draws."""
