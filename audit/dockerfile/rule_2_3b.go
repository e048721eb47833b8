package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule23b = rule{audit.Rule{
	ID: "CHG-2.3b", Title: "Packages of the system are pinned", Severity: audit.Medium, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"DL3008", "DL3018", "DL3033", "DL3037", "DL3041", "DL3035", "DL3017", "DL3005", "DL3031", "DL3039"},
	Why:      "Without a version or a dated snapshot two builds of one commit differ, and nobody knows what was tested.",
	Fix:      "For apt use a dated snapshot (deb https://snapshot.debian.org/archive/debian/20261115T000000Z trixie main); pkg=version disappears from Debian's mirrors after an update. For apk write pkg=version or pkg~=version.",
	Evidence: "line and the packages without a version",
}, func(c *check) {
	c.held = "every package has a version or comes from a dated snapshot"
	c.each(func(in *instr) {
		for _, call := range c.calls(in) {
			alias, loose := unpinnedPackages(call)
			if len(loose) == 0 || alias == "DL3008" && c.snapshot(in) {
				continue
			}
			c.fail(spot{in: in, alias: alias, observed: call.name + " installs " + list(loose) + " in whatever version there is", expected: "a version for each, or a dated snapshot"})
			return
		}
	})
}}

// snapshot reports whether the sources of apt are a dated snapshot by the
// time of an instruction.
func (f *file) snapshot(at *instr) bool {
	if image := parseImage(f.rootBase(at.stage)); strings.Contains(image.path, "snapshot") {
		return true
	}
	for s := at.stage; s != nil; s = s.parent {
		for _, in := range s.instrs {
			if in.start > at.start {
				break
			}
			text := ""
			switch cmd := in.cmd.(type) {
			case *instructions.RunCommand:
				text = f.script(in).text
			case *instructions.CopyCommand:
				for _, content := range cmd.SourceContents {
					text += content.Data
				}
			}
			if strings.Contains(text, "snapshot.debian.org") || strings.Contains(text, "snapshot.ubuntu.com") || strings.Contains(text, "snapshot-cloudflare.debian.org") || strings.Contains(text, "snapshot-id") {
				return true
			}
		}
	}
	return false
}

func (f *file) rootBase(s *stage) string {
	for s.parent != nil {
		s = s.parent
	}
	return s.base
}

func unpinnedPackages(c call) (alias string, loose []string) {
	var ops []string
	sub, _ := c.sub()
	pinned := func(p string) bool { return strings.ContainsAny(p, "=<>~") }
	switch c.name {
	case "apt-get", "apt", "aptitude":
		alias = "DL3008"
		if sub != "install" {
			return alias, nil
		}
		ops = c.operands()
	case "apk":
		alias = "DL3018"
		if sub != "add" {
			return alias, nil
		}
		ops = c.operands()
	case "yum", "dnf", "microdnf", "tdnf":
		alias = map[string]string{"yum": "DL3033", "dnf": "DL3041", "microdnf": "DL3041", "tdnf": "DL3041"}[c.name]
		if sub != "install" {
			return alias, nil
		}
		// A version begins with a digit behind a hyphen: nginx-1.26.
		pinned = func(p string) bool { return strings.HasPrefix(p, "@") || rpmVersion(p) }
		ops = c.operands()
	case "zypper":
		alias = "DL3037"
		if sub != "install" && sub != "in" {
			return alias, nil
		}
		ops = c.operands()
	default:
		return "", nil
	}
	if len(ops) > 0 {
		ops = ops[1:]
	}
	for _, p := range ops {
		file := strings.HasPrefix(p, "/") || strings.HasPrefix(p, "./") || strings.HasPrefix(p, "http") || strings.HasSuffix(p, ".deb") || strings.HasSuffix(p, ".rpm") || strings.HasSuffix(p, ".apk")
		if p != "" && !file && !strings.HasPrefix(p, "$") && !strings.HasPrefix(p, ".") && !pinned(p) {
			loose = append(loose, p)
		}
	}
	return alias, loose
}

func rpmVersion(p string) bool {
	for i := 0; i+1 < len(p); i++ {
		if p[i] == '-' && '0' <= p[i+1] && p[i+1] <= '9' {
			return true
		}
	}
	return false
}

// withoutFlagValues returns the operands, leaving out the values of flags.
func withoutFlagValues(args []string, flags ...string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if strings.HasPrefix(a, "-") {
			for _, f := range flags {
				if a == f {
					i++
				}
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

// maxListed bounds how many names a finding lists.
const maxListed = 6

func list(names []string) string {
	if len(names) > maxListed {
		return strings.Join(names[:maxListed], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
