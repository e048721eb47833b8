package dockerfile

import (
	"regexp"
	"strings"
	"sync"

	"github.com/hardstand/hardstand/audit"
)

var rule28e = rule{audit.Rule{
	ID: "CHG-2.8e", Title: "No secret stands in a RUN", Severity: audit.Critical, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3064"},
	Why:      "The text of every RUN is in the image's history.",
	Fix:      "RUN --mount=type=secret,id=token,env=TOKEN command",
	Evidence: "line and what it looks like; never the value",
}, func(c *check) {
	c.held = "no RUN, CMD, ENTRYPOINT or HEALTHCHECK contains what looks like a secret"
	c.method = "text compared with the shapes of known tokens and of password options"
	c.each(func(in *instr) {
		switch in.name {
		case "RUN", "CMD", "ENTRYPOINT", "HEALTHCHECK", "SHELL":
		default:
			return
		}
		text := in.node.Original
		for _, h := range in.node.Heredocs {
			text += "\n" + h.Content
		}
		if what := looksSecret(text); what != "" {
			c.fail(spot{in: in, observed: in.name + " contains " + what, expected: "a secret mount"})
			return
		}
		s := c.script(in)
		for _, a := range s.assigns {
			if secretName(a.name) && !harmlessValue(a.value) && !keyFingerprint().MatchString(a.value) {
				c.fail(spot{in: in, observed: in.name + " sets " + a.name + " to a literal value", expected: "a secret mount"})
				return
			}
		}
		for _, p := range s.pipes {
			if p.to.name == "chpasswd" && literalPassword(p.from) {
				c.fail(spot{in: in, observed: "chpasswd is given a password by " + p.from.name, expected: "no password; a container needs no login"})
				return
			}
		}
		for _, call := range s.calls {
			if option := passwordOption(call); option != "" {
				c.fail(spot{in: in, observed: call.name + " is given a password with " + option, expected: "a secret mount"})
				return
			}
		}
	})
}}

// keyFingerprint is what a variable called KEY holds in a RUN that asks a key
// server: the fingerprint of an OpenPGP key or its end, which is public.
var keyFingerprint = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:0x)?(?:[0-9A-F]{16}|[0-9A-F]{40})$`) })

// literalPassword reports whether a command prints name:password.
func literalPassword(c call) bool {
	for _, a := range c.args {
		if _, pass, ok := strings.Cut(a, ":"); ok && pass != "" && !strings.ContainsAny(pass, "$%") {
			return c.name == "echo" || c.name == "printf"
		}
	}
	return false
}

// passwordOption names the option by which a command gets a literal password,
// or returns "".
func passwordOption(c call) string {
	literal := func(v string) bool {
		return v != "" && !strings.ContainsAny(v, "$<>{") && v != "-" && !strings.HasPrefix(v, "-")
	}
	for i, a := range c.args {
		next := ""
		if i+1 < len(c.args) {
			next = c.args[i+1]
		}
		switch {
		case c.name == "curl" && (a == "-u" || a == "--user"):
			if _, pass, ok := strings.Cut(next, ":"); ok && literal(pass) {
				return a
			}
		case a == "--password" || a == "--http-password" || a == "--token" || a == "--api-key":
			if literal(next) {
				return a
			}
		case c.name == "sshpass" && a == "-p" && literal(next), (c.name == "docker" || c.name == "helm") && a == "-p" && literal(next):
			return a
		}
		if name, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(name, "--") && (name == "--password" || name == "--http-password" || name == "--token" || name == "--api-key") && literal(value) {
			return name
		}
	}
	return ""
}
