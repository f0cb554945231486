package main

import (
	"io/fs"
	"os"
	"path/filepath"
)

// chart writes the Helm chart, as helm package does, with this release's version.
// Which image it installs, the values say.
func (r *release) chart() error {
	dir := filepath.Join(r.root, "packaging", "chart", "spillway")
	return r.gzipped("spillway-"+r.version+".tgz", func(a *archive) error {
		return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if rel == "Chart.yaml" {
				text := string(b)
				for _, key := range []string{"version: ", "appVersion: "} {
					if text, err = replaceOnce(text, "\n"+key+"0.0.0\n", "\n"+key+r.version+"\n"); err != nil {
						return err
					}
				}
				b = []byte(text)
			}
			return a.file("spillway/"+filepath.ToSlash(rel), 0o644, b)
		})
	})
}
