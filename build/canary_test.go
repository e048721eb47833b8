package build_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/payload/payloadtest"
	"github.com/hardstand/hardstand/canary/alert"
)

// Tokens and decoys stand in a layer of their own, are in the register, and
// change nothing else.
func TestCanaryLayer(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	plain := w.build(t, parse(t, definition), build.Options{}).Images[0]
	d := parse(t, definition+"canary: {decoys: [ls, wget], tokens: [aws], collector: \"https://alarms.example\"}\n")
	master := alert.NewMaster()
	img := w.build(t, d, build.Options{Canary: master}).Images[0]
	again := open(t, dir, keys, t.TempDir()).build(t, d, build.Options{Canary: master}).Images[0]
	other := w.build(t, d, build.Options{Canary: alert.NewMaster()}).Images[0]
	layers := layerDigests(t, img)
	if !slices.Equal(layers, layerDigests(t, again)) {
		t.Error("the same secret gives other layers")
	}
	if n := len(layers) - 1; !slices.Equal(layers[:n], layerDigests(t, plain)) || layers[n] == layerDigests(t, other)[n] {
		t.Error("the secret does not decide the top layer, and it alone")
	}
	got := content(t, img)
	for p, want := range map[string]string{"usr/bin/ls": "0111", "home/nonroot/.aws": "dir 0700 65532:65532", "home/nonroot/.aws/credentials": "0600 65532:65532"} {
		if !strings.Contains(got[p], want) {
			t.Errorf("/%s is %q, want %s", p, got[p], want)
		}
	}
	if img.Register == nil || img.Register.Decoys == nil || img.Register.Tokens == nil || len(img.Register.Decoys.Decoys) != 2 {
		t.Errorf("register: %+v", img.Register)
	}
	for _, public := range [][]byte{img.SPDX, img.CycloneDX, img.Provenance} {
		if strings.Contains(string(public), "wget") || strings.Contains(string(public), ".aws") {
			t.Errorf("a public document names what was planted: %s", public)
		}
	}
}

// TestGuardedImage has the guard start the program, and tokens as named pipes.
func TestGuardedImage(t *testing.T) {
	payloadtest.Need(t)
	dir, keys := mirror(t)
	w := open(t, dir, keys, t.TempDir())
	d := parse(t, definition+`entrypoint: [/app, "-v"]
canary: {decoys: [ls], tokens: [netrc, aws], collector: "https://alarms.example", zone: c.example, exclude: [wget], guard: {pipes: [netrc], allow: [/app]}}
`)
	img := w.build(t, d, build.Options{Canary: alert.NewMaster()}).Images[0]
	config, err := img.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/usr/bin/tini /app -v" {
		t.Errorf("entrypoint %q", got)
	}
	got := content(t, img)
	for p, want := range map[string]string{"usr/bin/tini": "file 0111", "home/nonroot/.netrc": "pipe 0600 65532:65532", "home/nonroot/.aws/config": "file 0600 65532:65532"} {
		if !strings.HasPrefix(got[p], want) {
			t.Errorf("/%s is %q, want %s", p, got[p], want)
		}
	}
	if g := img.Register.Decoys.Guard; g == nil || g.Path != "/usr/bin/tini" || len(img.Register.Tokens.Tokens) != 2 {
		t.Errorf("register: %+v", img.Register)
	}
}

func TestDecoysNeedAMasterSecret(t *testing.T) {
	dir, keys := mirror(t)
	w, d := open(t, dir, keys, t.TempDir()), parse(t, definition+"canary: true\n")
	l, err := build.Lock(t.Context(), w.archive, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = build.Assemble(t.Context(), d, l, build.Options{Cache: w.cache, Archive: w.archive}); err == nil || !strings.Contains(err.Error(), "master secret") {
		t.Errorf("error = %v, want it to ask for the master secret", err)
	}
}
