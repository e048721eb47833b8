package dockerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11i = rule{audit.Rule{
	ID: "CHG-1.1i", Title: "FROM uses declared ARGs with usable defaults", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"UndefinedArgInFrom", "InvalidDefaultArgInFrom"},
	Why:      "An undeclared variable is empty, so the build takes another image than the one meant, or none.",
	Fix:      "Declare the ARG with a default before the first FROM: ARG GO=1.26.",
	Evidence: "line and variable",
}, func(c *check) {
	c.held = "every variable in FROM is declared and has a default"
	env := environment{}
	for _, k := range automaticArgs {
		env[k] = "x"
	}
	declared := map[string]bool{}
	for _, in := range c.meta {
		for _, a := range in.cmd.(*instructions.ArgCommand).Args {
			declared[a.Key] = true
			if a.Value != nil {
				env[a.Key] = c.expand(*a.Value, env)
			}
			if v, ok := c.opts.Args[a.Key]; ok {
				env[a.Key] = v
			}
		}
	}
	for _, s := range c.stages {
		if !s.reachable {
			continue
		}
		for _, name := range variables(s.raw + " " + s.platform) {
			if _, ok := env[name]; !ok && !declared[name] {
				c.fail(spot{in: s.from, alias: "UndefinedArgInFrom", observed: "$" + name + " is not declared", expected: "ARG " + name + " before the first FROM"})
			}
		}
		if image := c.expandAll(s.raw, env); strings.Contains(s.raw, "$") && (image == "" || strings.HasPrefix(image, ":") || strings.HasSuffix(image, ":") || strings.HasSuffix(image, "@") || strings.Contains(image, "/:")) {
			c.warn(spot{in: s.from, alias: "InvalidDefaultArgInFrom", observed: fmt.Sprintf("with the defaults the image is %q", image), expected: "a default that names an image"})
		}
	}
}}

// automaticArgs are set by the builder in every build.
var automaticArgs = []string{
	"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT", "TARGETSTAGE",
}
