package servers

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// Azure is Azurite over a directory.
type Azure struct {
	*Process
	// Env are the credentials, which the test's process has already.
	Env map[string]string

	buckets atomic.Int32
}

// The account that Azurite has from the start, known to everybody.
const (
	azureAccount = "devstoreaccount1"
	azureKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// StartAzure starts a server that speaks as Azure Blob Storage does. It sets
// the test's AZURE_STORAGE_* variables.
func StartAzure(t testing.TB) *Azure {
	t.Helper()
	env := setenv(t, map[string]string{"AZURE_STORAGE_ACCOUNT": azureAccount, "AZURE_STORAGE_KEY": azureKey})
	addr, port := freeAddr(t)
	p := start(t, "azurite-blob", addr, nil, installed(t, "azurite-blob", filepath.Join("azurite", "node_modules", ".bin", "azurite-blob")),
		"--blobHost", "127.0.0.1", "--blobPort", port, "--location", t.TempDir(), "--silent", "--skipApiVersionCheck", "--disableTelemetry",
		"--loose") // it knows no CRC-64, and is to look away
	return &Azure{Process: p, Env: env}
}

// Bucket makes an empty container.
func (s *Azure) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", s.buckets.Add(1))
	cred, err := azblob.NewSharedKeyCredential(azureAccount, azureKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := azblob.NewClientWithSharedKeyCredential("http://"+s.Addr()+"/"+azureAccount, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateContainer(context.Background(), name, nil); err != nil {
		t.Fatalf("make container %s: %v\n%s", name, err, s.Log())
	}
	return name
}

// URL is the sink's URL of a place in a container; path may be "".
func (s *Azure) URL(bucket, path string) string {
	q := url.Values{"domain": {s.Addr()}, "protocol": {"http"}, "localemu": {"true"}}
	return (&url.URL{Scheme: "azblob", Host: bucket, Path: path, RawQuery: q.Encode()}).String()
}
