// Command embedded uses Spillway as a library: an engine on a directory, a
// transaction, a checkpoint, and everything back after a restart.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/spillwaydb/spillway/core"
)

func main() {
	dir, err := os.MkdirTemp("", "spillway-embedded")
	for range 2 { // the second time recovers what the first has written
		if err == nil {
			err = run(dir)
		}
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
}

func run(dir string) (err error) {
	db, err := core.OpenDir(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := db.Session()
	defer s.Close()
	for _, cmd := range [][]string{
		{"MULTI"}, {"INCR", "visits"}, {"RPUSH", "log", "hello"}, {"EXEC"}, {"SAVE"}, {"GET", "visits"},
	} {
		v, err := s.Do(cmd...)
		if err != nil {
			return err
		}
		fmt.Println(cmd, "→", v)
	}
	return nil
}
