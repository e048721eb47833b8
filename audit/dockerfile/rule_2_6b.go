package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule26b = rule{audit.Rule{
	ID: "CHG-2.6b", Title: "USER is a number", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3066"},
	Why:      "Kubernetes' runAsNonRoot refuses an image whose user is a name: only a number proves that it is not root.",
	Fix:      "Write the number: USER 65532:65532.",
	Evidence: "line and value",
}, func(c *check) {
	in := c.lastOf("USER")
	if in == nil {
		c.notApplicable("there is no USER; see CHG-2.6a")
		return
	}
	user := c.expand(in.cmd.(*instructions.UserCommand).User, environment(c.target.env))
	name, _, _ := strings.Cut(user, ":")
	switch {
	case strings.Contains(name, "$"):
		c.unknown("the value of the build arguments in USER "+user, "USER "+user)
	case name == "root":
		c.notApplicable("the user is root; see CHG-2.6a")
	case windows(c.rootBase(c.target)):
		c.notApplicable("users of Windows have no number")
	case strings.Trim(name, "0123456789") != "":
		c.warn(spot{in: in, observed: "USER " + user, expected: "a number, and in a group a number too"})
	default:
		c.held = "USER " + user
	}
}}
