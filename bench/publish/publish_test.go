// Package publish_test measures publishing and verifying with everything signed:
// two platforms and their index, an SPDX and a CycloneDX document for each
// platform, and provenance on the index.
//
//	go test ./bench/publish -bench . -benchtime 10x [-layout DIR]
//
// DIR is an OCI layout, such as `hardstand build base -o oci:DIR` writes; without
// it an index of random content of about the same size is made.
package publish_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

var layoutDir = flag.String("layout", "", "OCI layout to publish")

func index(b *testing.B) v1.ImageIndex {
	b.Helper()
	if *layoutDir != "" {
		return fromLayout(b, *layoutDir)
	}
	idx := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(2<<20, 6)
		if err != nil {
			b.Fatal(err)
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return idx
}

// fromLayout takes the layout's only index, or its images as an index.
func fromLayout(b *testing.B, dir string) v1.ImageIndex {
	b.Helper()
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		b.Fatal(err)
	}
	m, err := top.IndexManifest()
	if err != nil {
		b.Fatal(err)
	}
	if len(m.Manifests) == 1 && m.Manifests[0].MediaType.IsIndex() {
		if top, err = top.ImageIndex(m.Manifests[0].Digest); err != nil {
			b.Fatal(err)
		}
	}
	return top
}

// attestations are documents of the size that base's have.
func attestations(b *testing.B, idx v1.ImageIndex) []registry.Attestation {
	b.Helper()
	m, err := idx.IndexManifest()
	if err != nil {
		b.Fatal(err)
	}
	packages := make([]map[string]string, 200)
	for i := range packages {
		packages[i] = map[string]string{"name": fmt.Sprintf("package-%d", i), "versionInfo": "1.0-1+deb13u1",
			"SPDXID": fmt.Sprintf("SPDXRef-%d", i), "downloadLocation": "NOASSERTION", "copyrightText": "NOASSERTION",
			"supplier": "Organization: Debian", "checksum": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
	}
	document, err := json.Marshal(map[string]any{"spdxVersion": "SPDX-2.3", "packages": packages})
	if err != nil {
		b.Fatal(err)
	}
	list := []registry.Attestation{{PredicateType: sign.PredicateProvenance, Predicate: []byte(`{"buildDefinition":{}}`)}}
	for _, d := range m.Manifests {
		for _, predicateType := range []string{sign.PredicateSPDX, sign.PredicateCycloneDX} {
			list = append(list, registry.Attestation{Subject: d.Digest, PredicateType: predicateType, Predicate: document})
		}
	}
	return list
}

func signer(b *testing.B) *sign.Signer {
	b.Helper()
	private, _, err := sign.GenerateKey([]byte("bench"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := sign.LoadSigner(private, []byte("bench"))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// registries maps a kind to a function that starts an empty one.
var registries = map[string]func(*testing.B) string{"embedded": embedded, "docker-registry": dockerRegistry}

func embedded(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- registry.Serve(ctx, l, registry.ServeOptions{}) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

func dockerRegistry(b *testing.B) string {
	b.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		b.Skip("docker-registry is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\nhttp: {addr: %q}\n", dir, addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, "serve", config)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if resp, err := http.Get("http://" + addr + "/v2/"); err == nil {
			_ = resp.Body.Close()
			return addr
		}
		time.Sleep(25 * time.Millisecond)
	}
	b.Fatal("docker-registry does not answer")
	return ""
}

func tag(b *testing.B, addr string, n int) name.Tag {
	b.Helper()
	t, err := registry.ParseTag(fmt.Sprintf("%s/bench/base%d:1.0", addr, n))
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func publish(b *testing.B, o registry.PublishOptions) registry.Result {
	b.Helper()
	res, err := registry.Publish(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	return res
}

// BenchmarkPublish/first is a new image with everything signed; /present is the
// same in another repository of the registry, where the blobs are mounted;
// /unchanged is publishing again.
func BenchmarkPublish(b *testing.B) {
	outer := b
	for kind, start := range registries {
		addr := start(b)
		o := registry.PublishOptions{Index: index(b), Signer: signer(b)}
		o.Attestations = attestations(b, o.Index)
		n := 0
		b.Run(kind+"/first", func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				fresh := o
				fresh.Index = index(b)
				fresh.Attestations = attestations(b, fresh.Index)
				if *layoutDir != "" && kind == "embedded" {
					addr = start(outer) // its repositories share their blobs
				}
				n++
				fresh.Tag = tag(b, addr, n)
				b.StartTimer()
				publish(b, fresh)
			}
		})
		n++
		o.Tag = tag(b, addr, n)
		publish(b, o)
		b.Run(kind+"/unchanged", func(b *testing.B) {
			for b.Loop() {
				if res := publish(b, o); !res.Existed || res.Traffic.Blobs+res.Traffic.Manifests > 0 {
					b.Fatalf("something was written: %+v", res.Traffic)
				}
			}
		})
		b.Run(kind+"/present", func(b *testing.B) {
			for b.Loop() {
				n++
				again := o
				again.Tag, again.MountFrom = tag(b, addr, n), []name.Repository{o.Tag.Repository}
				if res := publish(b, again); res.Traffic.Bytes > 4<<20 {
					b.Fatalf("%d bytes were sent although the blobs are there", res.Traffic.Bytes)
				}
			}
		})
	}
}

// BenchmarkVerify is what `hardstand verify` does; /both-forms demands that every
// signature is stored in both forms, and reads all of what is stored.
func BenchmarkVerify(b *testing.B) {
	for kind, start := range registries {
		o := registry.PublishOptions{Index: index(b), Signer: signer(b), Tag: tag(b, start(b), 0)}
		o.Attestations = attestations(b, o.Index)
		publish(b, o)
		policy := sign.VerifyOptions{Keys: []sign.Key{o.Signer.Key()}, Platforms: true,
			Require: []sign.Requirement{{PredicateType: sign.PredicateSPDX}, {PredicateType: sign.PredicateProvenance}}}
		both := policy
		both.Forms = []sign.Form{sign.FormLegacy, sign.FormBundle}
		for name, p := range map[string]sign.VerifyOptions{kind: policy, kind + "/both-forms": both} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if _, err := registry.Verify(context.Background(), o.Tag, registry.Remote{}, p); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
