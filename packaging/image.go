package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// imageUser is the user in the image: nobody's on the machines that run it.
const imageUser = 65532

// image writes an OCI archive: an index with an image for every architecture, each
// of one layer on top of nothing.
func (r *release) image() error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range r.arches {
		img, err := r.imageFor(arch)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	dir := filepath.Join(r.stage(""), "image")
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": r.version,
		"io.containerd.image.name":          "spillway:" + r.version,
	})); err != nil {
		return err
	}
	return r.pour(dir, "spillway_"+r.version+"_image.oci.tar")
}

// pour writes a directory as a tar.
func (r *release) pour(dir, name string) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	defer f.Close()
	a := newArchive(f, r.date)
	return errors.Join(a.tree("", dir), a.w.Close(), f.Close())
}

func (r *release) imageFor(arch string) (v1.Image, error) {
	project, err := r.project()
	if err != nil {
		return nil, err
	}
	content, err := r.layer(arch)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{
		Created: v1.Time{Time: r.date}, CreatedBy: "spillway " + r.version, Comment: "built without a base",
	}})
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", arch, v1.Time{Time: r.date}
	cfg.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", imageUser, imageUser),
		Env:          []string{"PATH=/usr/bin", "HOME=/data", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Entrypoint:   []string{"/usr/bin/spillway"},
		Cmd:          []string{"serve", "--config", "/etc/spillway/plugins.hcl"},
		WorkingDir:   "/data",
		Volumes:      map[string]struct{}{"/data": {}},
		ExposedPorts: map[string]struct{}{"6380/tcp": {}},
		StopSignal:   "SIGTERM",
		// Docker's; Kubernetes has probes of its own. A container is not unhealthy
		// because a sink elsewhere is behind, which a restart would not mend.
		Healthcheck: &v1.HealthConfig{
			Test:     []string{"CMD", "/usr/bin/spillway", "status", "--serving", "--config", "/etc/spillway/plugins.hcl"},
			Interval: 30 * time.Second, Timeout: 15 * time.Second, StartPeriod: 10 * time.Minute, Retries: 3,
		},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Spillway",
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.created":  r.date.Format("2006-01-02T15:04:05Z"),
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.source":   project.homepage(),
		},
	}
	return mutate.ConfigFile(img, cfg)
}

// layer is all that is in the image: the program, its configuration, a user, the
// authorities of certificates, and the directories that it writes to.
func (r *release) layer(arch string) ([]byte, error) {
	var out bytes.Buffer
	a := newArchive(&out, r.date)
	err := errors.Join(
		a.dir("data", 0o700, imageUser),
		a.file("etc/group", 0o644, fmt.Appendf(nil, "root:x:0:\nspillway:x:%d:\n", imageUser)),
		a.file("etc/passwd", 0o644, fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nspillway:x:%d:%d:Spillway:/data:/sbin/nologin\n", imageUser, imageUser)),
		a.copy("etc/spillway/plugins.hcl", 0o644, filepath.Join(r.stage(arch), "image.hcl")),
		a.file("etc/ssl/certs/ca-certificates.crt", 0o644, authorities()),
		a.dir("tmp", 0o1777, 0),
		a.copy("usr/bin/spillway", 0o755, filepath.Join(r.stage(arch), "bin", "spillway")),
		a.copy("usr/share/doc/spillway/LICENSE", 0o644, filepath.Join(r.root, "LICENSE")),
		a.w.Close(),
	)
	return out.Bytes(), err
}

// authorities are those of Mozilla that are trusted without conditions, which a
// file of certificates cannot tell.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // to memory
		}
	}
	return out.Bytes()
}
