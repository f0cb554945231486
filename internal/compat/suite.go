package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Redis's source, as Debian 12 has it.
const (
	sourceEntry  = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
	sourceFile   = "redis_7.0.15.orig.tar.gz"
	sourceSHA256 = "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982"
)

// errUnavailable is a suite that cannot be had here: no apt, or no network.
var errUnavailable = errors.New("Redis's test suite cannot be had here")

// fetchSuite returns the directory of Redis's source, which it downloads unless
// it is in cache already. apt reads lists of its own there, and the machine's are
// neither read nor changed.
func fetchSuite(ctx context.Context, cache string) (string, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	suite := filepath.Join(cache, "redis")
	archive := filepath.Join(cache, sourceFile)
	if _, err := os.Stat(suite); err == nil {
		return suite, nil
	}
	if _, err := os.Stat(archive); err != nil {
		if err := download(ctx, cache); err != nil {
			return "", fmt.Errorf("%w: %w", errUnavailable, err)
		}
	}
	if err := checkArchive(archive); err != nil {
		return "", errors.Join(err, os.Remove(archive))
	}
	unpacked := suite + ".tmp"
	if err := os.RemoveAll(unpacked); err != nil {
		return "", err
	}
	if err := unpack(archive, unpacked); err != nil {
		return "", fmt.Errorf("unpacking %s: %w", archive, err)
	}
	return suite, os.Rename(unpacked, suite)
}

// download has apt-get put the source into dir.
func download(ctx context.Context, dir string) error {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sourceEntry), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"update"}, {"source", "--download-only", "redis"}} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{
			"-qq", "-o", "Acquire::Retries=2",
			"-o", "APT::Sandbox::User=", // the directory is ours
			"-o", "APT::Update::Error-Mode=any",
			"-o", "Dir::Etc::SourceList=" + filepath.Join(dir, "sources.list"),
			"-o", "Dir::Etc::SourceParts=-",
			"-o", "Dir::State::Lists=" + filepath.Join(dir, "lists"),
			"-o", "Dir::Cache=" + filepath.Join(dir, "cache"),
		}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(string(out)))
		}
	}
	return nil
}

// checkArchive refuses an archive that is not the one this was written for.
func checkArchive(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("%w: apt-get source has another version of Redis: %w", errUnavailable, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sourceSHA256 {
		return fmt.Errorf("%s has the SHA-256 %s, and %s was expected", name, got, sourceSHA256)
	}
	return nil
}

// unpack writes the tests of the archive, without its first directory, to dir.
func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written by it
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(h.Name, "/")
		if !strings.HasPrefix(name, "tests/") && !strings.HasPrefix(name, "utils/") {
			continue
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(strings.TrimSuffix(name, "/"), 0o755)
		case tar.TypeReg:
			err = writeFile(root, name, r)
		}
		if err != nil {
			return err
		}
	}
}

func writeFile(root *os.Root, name string, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// lastLine is the last line of s that says something.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
