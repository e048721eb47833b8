package workload

import (
	"github.com/hardstand/hardstand/audit"
	"strings"
)

var rule22r = rule{Rule: audit.Rule{
	ID: "CHG-2.2r", Title: "Images are named by digest", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Compose, audit.Kubernetes, audit.ECS},
	Aliases:  []string{"DL3006", "DL3007", "DS-0001", "KSV-0013", "container-image-tag"},
	Why:      "A tag can name another image tomorrow, and on every node another one.",
	Fix:      "image: registry.example/app:1.4.2@sha256:… (hardstand verify prints the digest).",
	Evidence: "the reference",
}, each: func(c *check, k *container) {
	ref := k.image.value
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	switch {
	case !k.image.set:
		c.unknown(k, k.image.at, "the image's reference")
	case strings.Contains(ref, "@sha256:") && !strings.Contains(ref[strings.Index(ref, "@"):], "$"):
		c.pass(k, k.image.at, shorten(ref))
	case k.image.open() && !tagged(ref):
		c.unknown(k, k.image.at, "the value of the variables in "+shorten(ref))
	case !strings.Contains(name, ":") || strings.HasSuffix(name, ":latest"):
		c.fail(k, k.image.at, shorten(ref)+": whatever is newest", "a digest")
	default:
		c.warn(k, k.image.at, shorten(ref)+": a tag", "a digest")
	}
}}

// tagged reports whether a reference ends with a tag that is written out,
// whatever its variables are: a registry may be one, and still there is no
// digest.
func tagged(ref string) bool {
	rest := ref[strings.LastIndexAny(ref, "}/")+1:]
	_, tag, ok := strings.Cut(rest, ":")
	return ok && tag != "" && !strings.ContainsAny(tag, "@:${")
}
