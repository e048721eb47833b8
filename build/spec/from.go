package spec

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// From is the image that a definition starts from, and whose signature it must
// have: of a key, or of an identity that an issuer vouches for.
type From struct {
	// Image is REGISTRY/REPOSITORY@sha256:HEX, or oci:DIR@sha256:HEX for a layout
	// directory beside the definition.
	Image string `json:"image"`
	// Key is a public key: a file beside the definition, PEM text, or a key of a
	// KMS such as awskms://ALIAS.
	Key      string `json:"key,omitempty"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// TrustedRoot is a trusted_root.json beside the definition by which the
	// identity's certificate is judged, of a private sigstore instance or the
	// public one: with it nothing is asked of the network.
	TrustedRoot string `json:"trusted-root,omitempty"`
}

// InLayout reports whether the image is in a directory and not in a registry.
func (f *From) InLayout() bool { return strings.HasPrefix(f.Image, "oci:") }

// Offline reports whether the image can be verified without a network.
func (f *From) Offline() bool {
	return f.InLayout() && (f.TrustedRoot != "" || f.Key != "" && !strings.Contains(f.Key, "://"))
}

// Digest gives the "sha256:HEX" that the image is named by.
func (f *From) Digest() string {
	_, digest, _ := strings.Cut(f.Image, "@")
	return digest
}

func (p *parser) from(n *yaml.Node, d *Definition) {
	if off(n) {
		d.From = nil
		return
	}
	d.From = &From{}
	p.mapping(n, "from", fields{
		"image": p.text("image", &d.From.Image), "key": p.text("key", &d.From.Key),
		"identity": p.text("identity", &d.From.Identity), "issuer": p.text("issuer", &d.From.Issuer),
		"trusted-root": p.text("trusted-root", &d.From.TrustedRoot),
	})
}

func (d *Definition) finishFrom(fail func([]string, string, ...any)) {
	f := d.From
	if f == nil {
		return
	}
	repository, digest, _ := strings.Cut(f.Image, "@")
	sum, ok := strings.CutPrefix(digest, "sha256:")
	switch {
	case f.Image == "":
		fail([]string{"from"}, `from: "image" is missing`)
	case digest == "":
		fail([]string{"from", "image"}, "%q names no digest, and a tag may move: hardstand verify %s --key FILE prints the digest, to be written as REGISTRY/REPOSITORY@sha256:HEX", f.Image, f.Image)
	case !ok || !validSHA256(sum) || !f.InLayout() && !strings.Contains(repository, "/") || repository == "oci:" || strings.ContainsAny(repository, "\n\r\x00"):
		fail([]string{"from", "image"}, "%q is not of the form REGISTRY/REPOSITORY@sha256:HEX or oci:DIR@sha256:HEX", f.Image)
	}
	keyless := f.Identity != "" || f.Issuer != ""
	switch {
	case f.Key == "" && !keyless:
		fail([]string{"from"}, `from: whose signature must the image have? Give "key", or "identity" and "issuer"`)
	case f.Key != "" && keyless:
		fail([]string{"from"}, `from: "key" excludes "identity" and "issuer"`)
	case keyless && (f.Identity == "" || f.Issuer == ""):
		fail([]string{"from"}, `from: "identity" and "issuer" belong together`)
	case f.TrustedRoot != "" && !keyless:
		fail([]string{"from"}, `from: "trusted-root" is of use with "identity" and "issuer" only`)
	}
	if d.Bare || d.Compat != "" {
		fail([]string{"from"}, `an image that starts from another takes that one's configuration: "bare" and "compat" do not go with "from"`)
	}
}
