"""The verdict: is the first candidate the work on the picture?"""
