package sign

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/hardstand/hardstand/sign/tuftest"
)

// virtualRoot is the trusted_root.json of an instance in memory.
func virtualRoot(t *testing.T) []byte {
	t.Helper()
	vs, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	r, err := root.NewTrustedRoot(root.TrustedRootMediaType01, vs.FulcioCertificateAuthorities(), nil, vs.TimestampingAuthorities(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestInstance(t *testing.T) {
	config := []byte(`{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}`)
	repo := tuftest.New(t, map[string][]byte{targetTrustedRoot: virtualRoot(t), targetSigningConfig: config}, time.Now().Add(time.Hour))
	o := InstanceOptions{Mirror: repo.URL, Root: repo.Root, CacheDir: t.TempDir()}
	open := func() error {
		i, err := OpenInstance(context.Background(), o)
		if err != nil {
			return err
		}
		if _, err = i.TrustedRoot(); err != nil {
			return err
		}
		got, err := i.SigningConfig()
		if err == nil && !bytes.Equal(got, config) {
			t.Errorf("signing config %s, want %s", got, config)
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	repo.Server.Close()
	if err := open(); err != nil {
		t.Errorf("from the cache: %v", err)
	}
	o.CacheDir = t.TempDir()
	if err := open(); err == nil {
		t.Error("without network and cache there is an answer")
	}
}

func TestInstanceRefuses(t *testing.T) {
	targets := map[string][]byte{targetTrustedRoot: virtualRoot(t)}
	good := tuftest.New(t, targets, time.Now().Add(time.Hour))
	expired := tuftest.New(t, targets, time.Now().Add(-time.Hour))
	changed := tuftest.New(t, targets, time.Now().Add(time.Hour))
	files, err := filepath.Glob(filepath.Join(changed.Dir, "targets", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], bytes.ReplaceAll(targets[targetTrustedRoot], []byte("a"), []byte("b")), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]InstanceOptions{
		"a root of another repository": {Mirror: good.URL, Root: changed.Root},
		"expired metadata":             {Mirror: expired.URL, Root: expired.Root},
		"a changed target":             {Mirror: changed.URL, Root: changed.Root},
		"a mirror without a root":      {Mirror: good.URL},
		"a root without a mirror":      {Root: good.Root},
		"plain HTTP to elsewhere":      {Mirror: "http://192.0.2.1", Root: good.Root},
	} {
		o.CacheDir = t.TempDir()
		i, err := OpenInstance(context.Background(), o)
		if err == nil {
			_, err = i.TrustedRoot()
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		t.Log(name, err)
	}
}
