// Command spec makes the command table of package command out of the files of
// its directory: one for each command and subcommand, which say what is known
// about it and nothing about how it is executed. README.md describes them.
//
//	go generate ./core/command
package main

import (
	"embed"
	"flag"
	"log"
	"os"
)

//go:embed *.json
var files embed.FS

func main() {
	out := flag.String("o", "table_gen.go", "the Go file to write")
	flag.Parse()
	commands, err := load(files)
	if err != nil {
		log.Fatal(err)
	}
	source, err := emit(commands)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(*out, source, 0o644); err != nil { //nolint:forbidigo,gosec // this is a tool for those who change the files
		log.Fatal(err)
	}
}
