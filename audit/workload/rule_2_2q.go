package workload

import (
	"errors"
	"github.com/hardstand/hardstand/audit"
	"strings"
)

var rule22q = rule{Rule: audit.Rule{
	ID: "CHG-2.2q", Title: "Images are verified before they run", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Compose, audit.Kubernetes, audit.ECS},
	Aliases:  []string{"KSV-0125"},
	Why:      "A name in a manifest says where an image comes from and not who made it.",
	Fix:      "Sign images, audit with --key, and let the cluster refuse the others: hardstand policy kyverno.",
	Evidence: "the reference and who signed its digest",
}, each: func(c *check, k *container) {
	c.method = "signature of the image verified against the trust policy given"
	switch {
	case !k.image.set || k.image.open():
		c.unknown(k, k.image.at, "the image's reference")
	case c.opts.Verify == nil:
		c.unknown(k, k.image.at, "a trust policy (a public key, or an identity with its issuer) and the registry of "+shorten(k.image.value))
	default:
		by, err := c.opts.Verify(c.ctx, k.image.value)
		var unsigned *UnsignedError
		switch {
		case err == nil:
			c.pass(k, k.image.at, shorten(k.image.value)+" is signed by "+by)
		case errors.As(err, &unsigned):
			c.fail(k, k.image.at, shorten(k.image.value)+": "+shorten(err.Error()), "a signature by a trusted key or identity")
		default:
			c.unknown(k, k.image.at, "an answer of the registry: "+shorten(strings.TrimSpace(err.Error())))
		}
	}
}}

// UnsignedError is the answer that nobody who is trusted signed an image.
type UnsignedError struct{ Reason string }

func (e *UnsignedError) Error() string { return e.Reason }
