package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
)

// archive writes a tar whose bytes depend on nothing but what is in it: one date,
// one owner, names in the order in which they come.
type archive struct {
	w    *tar.Writer
	date time.Time
	dirs map[string]bool
}

func newArchive(w io.Writer, date time.Time) *archive {
	return &archive{tar.NewWriter(w), date, make(map[string]bool)}
}

// dir adds a directory of an owner; those above it are root's.
func (a *archive) dir(name string, mode int64, uid int) error {
	name = strings.TrimSuffix(name, "/") + "/"
	if a.dirs[name] {
		return nil
	}
	if err := a.parents(name); err != nil {
		return err
	}
	a.dirs[name] = true
	return a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: uid, Gid: uid, ModTime: a.date, Format: tar.FormatUSTAR})
}

func (a *archive) parents(name string) error {
	if parent := path.Dir(strings.TrimSuffix(name, "/")); parent != "." {
		return a.dir(parent, 0o755, 0)
	}
	return nil
}

// file adds a file of root's.
func (a *archive) file(name string, mode int64, b []byte) error {
	if err := a.parents(name); err != nil {
		return err
	}
	if err := a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(b)), ModTime: a.date, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := a.w.Write(b)
	return err
}

// copy adds a file of the disk.
func (a *archive) copy(name string, mode int64, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return a.file(name, mode, b)
}

// tree adds the files below a directory of the disk.
func (a *archive) tree(name, from string) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		return a.copy(path.Join(name, filepath.ToSlash(rel)), 0o644, p)
	})
}

// tarballs writes what runs without being installed.
func (r *release) tarballs() error {
	for _, arch := range r.arches {
		name := "spillway_" + r.version + "_linux_" + arch
		err := r.gzipped(name+".tar.gz", func(a *archive) error {
			for _, p := range r.built() {
				if err := a.copy(name+"/bin/"+p, 0o755, filepath.Join(r.stage(arch), "bin", p)); err != nil {
					return err
				}
			}
			return errors.Join(
				a.copy(name+"/LICENSE", 0o644, filepath.Join(r.root, "LICENSE")),
				a.copy(name+"/README.md", 0o644, filepath.Join(r.root, "README.md")),
				a.copy(name+"/plugins.hcl", 0o644, filepath.Join(r.root, "plugins.hcl")),
				a.tree(name+"/completion", filepath.Join(r.stage(arch), "completion")),
				a.tree(name+"/docs", filepath.Join(r.root, "docs")),
				a.tree(name+"/examples", filepath.Join(r.root, "examples", "config")),
				a.tree(name+"/monitoring", filepath.Join(r.root, "packaging", "monitoring")),
				a.tree(name+"/man", filepath.Join(r.stage(arch), "man")),
			)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gzipLevel makes archives that are larger by three percent than those of Go's own gzip
// at its level 6, for less than a third of the time.
const gzipLevel = 6

// gzipped writes a tar.gz that fill fills.
func (r *release) gzipped(name string, fill func(*archive) error) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(f, gzipLevel)
	if err != nil {
		return err
	}
	a := newArchive(z, r.date)
	return errors.Join(fill(a), a.w.Close(), z.Close(), f.Close())
}
