package main

import "testing"

func TestEmbedded(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := run(dir); err != nil {
			t.Fatal(err)
		}
	}
}
