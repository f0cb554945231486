package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // they register themselves
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

// packages makes a deb, or an rpm, of every file of linux/ that describes one.
func (r *release) packages(format string) error {
	files, err := filepath.Glob(filepath.Join(r.linux(), "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if filepath.Base(file) == "spillway-plugins.yaml" && len(r.built()) < len(allPrograms) {
			continue
		}
		for _, arch := range r.arches {
			if err := r.pack(format, file, arch); err != nil {
				return fmt.Errorf("%s for %s: %w", filepath.Base(file), arch, err)
			}
		}
	}
	return nil
}

func (r *release) pack(format, file, arch string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	project, err := r.project()
	if err != nil {
		return err
	}
	var unknown error
	vars := map[string]string{
		"STAGE": r.stage(arch), "LINUX": r.linux(), "ROOT": r.root, "ARCH": arch, "VERSION": r.version,
		"HOMEPAGE": project.homepage(), "MAINTAINER": project.maintainer(),
	}
	expanded := os.Expand(string(text), func(name string) string {
		v, ok := vars[name]
		if !ok {
			unknown = fmt.Errorf("there is no variable %s", name)
		}
		return v
	})
	if unknown != nil {
		return unknown
	}
	cfg, err := nfpm.Parse(strings.NewReader(expanded))
	if err != nil {
		return err
	}
	info, err := cfg.Get(format)
	if err != nil {
		return err
	}
	info = nfpm.WithDefaults(info)
	info.MTime = r.date
	for _, c := range info.Contents {
		if c.FileInfo != nil {
			c.FileInfo.MTime = r.date
		}
	}
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		return err
	}
	for _, c := range info.Contents { // a tree brings the times and modes of its files
		c.FileInfo.MTime = r.date
		switch {
		case !strings.HasPrefix(c.Destination, "/usr/share/"):
		case c.Type == files.TypeDir, c.Type == files.TypeImplicitDir:
			c.FileInfo.Mode = 0o755
		default:
			c.FileInfo.Mode = 0o644
		}
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(r.out, packager.ConventionalFileName(info)))
	if err != nil {
		return err
	}
	defer out.Close()
	return errors.Join(packager.Package(info, out), out.Close())
}
