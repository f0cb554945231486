// Command site makes a website of the documentation, and refuses while a link in it
// leads nowhere.
//
//	go run ./internal/site -out bin/site
//
// The pages are those that docs/README.md links to, in that order; it is the one place
// that says so. They are Markdown that a forge shows as it is, and the site needs no
// script, and nothing from elsewhere.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("out", "bin/site", "directory to write to")
	flag.Parse()
	s, err := load(os.DirFS("."))
	if err == nil {
		err = s.write(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%d pages in %s\n", len(s.pages), *out)
}
