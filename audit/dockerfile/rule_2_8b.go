package dockerfile

import (
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule28b = rule{audit.Rule{
	ID: "CHG-2.8b", Title: "The last stage starts from scratch or a distroless base", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Why:      "A shell and a package manager make a foothold comfortable, and are most of what scanners complain about.",
	Fix:      "FROM scratch for a static program, else a distroless or hardstand base.",
	Evidence: "the base at the root of the target's stages",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	base := c.rootBase(c.target)
	c.held = "base " + base
	n := parseImage(base)
	root := c.target
	for root.parent != nil {
		root = root.parent
	}
	switch {
	case base == "scratch":
	case strings.Contains(base, "$"):
		c.unknown("the value of the build arguments in FROM "+base, "base "+base)
	case n.minimal(c.opts.Minimal):
	case knownFull(n):
		c.warn(spot{in: root.from, observed: "base " + base + " brings a shell and a package manager", expected: "scratch, distroless or a hardstand base"})
	default:
		c.unknown("the image "+base+", to see whether it brings a shell", "base "+base)
	}
}}

// knownFull reports whether an image is one of those that everybody knows to
// bring a shell.
func knownFull(n imageName) bool {
	if n.registry == "docker.io" && strings.HasPrefix(n.path, "library/") {
		return true
	}
	for _, part := range []string{"ubi8", "ubi9", "ubi10", "amazonlinux", "bitnami/", "circleci/", "microsoft/", "mcr.microsoft.com/", "rockylinux", "centos", "oraclelinux", "alpine", "debian", "ubuntu", "node", "python"} {
		if strings.Contains(n.String(), part) && !strings.Contains(n.tag, "chiseled") && !strings.Contains(n.tag, "distroless") {
			return true
		}
	}
	return false
}
