package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spillwaydb/spillway/core/sink"
)

// store writes a file that is whole and durable, or not there.
func store(dir, name string, src io.Reader) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = io.Copy(file, src) // to io.EOF: nothing else is a success
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func open(dir, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(dir, name))
}

// list reads the documents of the sets, in the order of their paths.
func list(path string) (sets []sink.Set, err error) {
	paths, err := filepath.Glob(filepath.Join(path, "*", sink.SetFile))
	for _, path := range paths {
		doc, rerr := os.ReadFile(path)
		set, derr := sink.DecodeSet(doc)
		if rerr == nil && derr == nil {
			sets = append(sets, set)
		}
		err = errors.Join(err, rerr, derr)
	}
	return sets, err
}
