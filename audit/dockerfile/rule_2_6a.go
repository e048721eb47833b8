package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule26a = rule{audit.Rule{
	ID: "CHG-2.6a", Title: "The image runs as non-root", Severity: audit.High, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3002", "CIS-DI-0001", "DS-0002"},
	Why:      "Root in a container is root for every bug in the kernel, the runtime and the mounts.",
	Fix:      "USER 65532:65532 before CMD, and COPY --chown=65532:65532 for what the program must write.",
	Evidence: "where the value comes from, through the stages of the target",
}, func(c *check) {
	if c.target == nil {
		c.unknown("a stage to build", "")
		return
	}
	c.method = "USER followed from the target through the stages it is built from"
	in := c.lastOf("USER")
	if in == nil {
		c.noUser()
		return
	}
	user := c.expand(in.cmd.(*instructions.UserCommand).User, environment(c.target.env))
	name, group, _ := strings.Cut(user, ":")
	switch {
	case strings.Contains(name, "$"):
		c.unknown("the value of the build arguments in USER "+user, "USER "+user)
	case name == "root" || zero(name) || windowsRoot(name):
		c.fail(spot{in: in, observed: "USER " + user, expected: "a user other than root"})
	case group == "root" || zero(group):
		c.warn(spot{in: in, observed: "USER " + user + ": group root", expected: "a group other than root"})
	default:
		c.add(audit.Finding{Verdict: audit.Pass, Locator: c.locate(in.start, in.end), Observed: "USER " + user})
	}
}}

// noUser judges a target without USER by its base: some bases run as
// non-root by their name, of others only the image itself can tell.
func (c *check) noUser() {
	base := c.rootBase(c.target)
	tag := parseImage(base).tag
	switch {
	case base != "scratch" && (strings.Contains(tag, "nonroot") || strings.Contains(parseImage(base).path, "unprivileged") || strings.Contains(base, "cgr.dev/chainguard/")):
		c.unknown("the image "+base+", whose name says non-root", "no USER; the base says "+base)
	case base != "scratch" && parseImage(base).trusted(c.opts.Minimal):
		c.unknown("the image "+base+": its configuration says which user runs", "no USER")
	case strings.Contains(base, "$"):
		c.unknown("the value of the build arguments in FROM "+base, "no USER")
	case strings.Contains(parseImage(base).path, "nanoserver"):
		c.unknown("the image "+base+", which may run as ContainerUser", "no USER")
	default:
		from := c.target.from
		c.absent(spot{start: from.start, end: from.end, observed: "no USER in the target stage or its parents; " + base + " runs as root unless it says otherwise", expected: "USER 65532:65532"})
	}
}

// windowsRoot reports whether a user of Windows may do everything.
func windowsRoot(name string) bool {
	name = name[strings.LastIndex(name, `\`)+1:]
	return strings.EqualFold(name, "ContainerAdministrator") || strings.EqualFold(name, "Administrator")
}

func zero(id string) bool { return id != "" && strings.Trim(id, "0") == "" }
