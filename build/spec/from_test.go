package spec_test

import (
	"strings"
	"testing"

	"github.com/hardstand/hardstand/build/spec"
)

func TestFrom(t *testing.T) {
	image := "registry.example/base@sha256:" + strings.Repeat("ab", 32)
	for name, tc := range map[string]struct{ from, more, err string }{
		"key":            {from: "{image: IMAGE, key: k.pub}"},
		"identity":       {from: "{image: IMAGE, identity: me, issuer: https://example.org}"},
		"packages":       {from: "{image: IMAGE, key: k.pub}", more: "packages: [aa]"},
		"nobody":         {from: "{image: IMAGE}", err: "x.yaml:2:7: from: whose signature must the image have"},
		"both":           {from: "{image: IMAGE, key: k.pub, issuer: i}", err: `"key" excludes "identity"`},
		"half":           {from: "{image: IMAGE, issuer: i}", err: `"identity" and "issuer" belong together`},
		"tag":            {from: "{image: registry.example/base:1, key: k.pub}", err: "x.yaml:2:15: \"registry.example/base:1\" names no digest"},
		"short-digest":   {from: "{image: registry.example/base@sha256:ab, key: k.pub}", err: "is not of the form"},
		"no-registry":    {from: "{image: \"base@sha256:" + strings.Repeat("ab", 32) + "\", key: k.pub}", err: "is not of the form"},
		"no-image":       {from: "{key: k.pub}", err: `"image" is missing`},
		"unknown-key":    {from: "{image: IMAGE, kei: k.pub}", err: `x.yaml:2:`},
		"bare":           {from: "{image: IMAGE, key: k.pub}", more: "bare: true", err: `do not go with "from"`},
		"not-a-mapping":  {from: "IMAGE", err: "from: want a mapping"},
		"anyone-allowed": {from: "{image: IMAGE, key: \"\"}", err: "whose signature"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := spec.Parse("x.yaml", []byte("name: x\nfrom: "+strings.ReplaceAll(tc.from, "IMAGE", image)+"\n"+tc.more+"\n"))
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("the error is %v, want %q", err, tc.err)
				}
			case err != nil:
				t.Error(err)
			case d.From.Image != image || d.From.Digest() != image[len("registry.example/base@"):] || d.Accounts.RunAs != "":
				t.Errorf("it starts from %+v as %q", d.From, d.Accounts.RunAs)
			}
		})
	}
}

// A lock is made for one image to start from.
func TestFromIsLocked(t *testing.T) {
	parse := func(digit string) *spec.Definition {
		d, err := spec.Parse("x.yaml", []byte("name: x\nfrom: {image: \"r.example/b@sha256:"+strings.Repeat(digit, 64)+"\", key: k}\nplatforms: [linux/amd64]\n"))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, two := parse("1"), parse("2")
	l := &spec.Lock{Name: "x", Definition: spec.DigestOf(one.LockInput()), From: one.From.Image, Platforms: map[string][]*spec.Package{"linux/amd64": {}}}
	if !l.Matches(one) || l.Matches(two) {
		t.Error("the lock does not depend on the image")
	}
	if err := l.Check(one); err != nil {
		t.Error(err)
	}
	if err := l.Check(two); err == nil || !strings.Contains(err.Error(), "starts from") {
		t.Errorf("another image: %v", err)
	}
}
