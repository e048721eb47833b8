package runtime

import (
	"fmt"
	"strings"
)

// Falco writes rules about containers of one repository.
func Falco(p Profile) ([]byte, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	repository, _, _ := strings.Cut(p.Reference, "@")
	in := fmt.Sprintf("container.image.repository = %q", repository)
	var b strings.Builder
	// 0.57.0 is of Falco 0.42, which has no events for the entry into a system
	// call, and therefore no evt.dir.
	b.WriteString("- required_engine_version: 0.57.0\n- required_plugin_versions:\n    - {name: container, version: 0.4.0}\n")
	rule := func(name, desc, condition, priority string) {
		fmt.Fprintf(&b, "- rule: %s %s\n  desc: %s\n  condition: >\n    %s\n  output: >\n    %s in %%container.name (command=%%proc.cmdline file=%%fd.name parent=%%proc.pname user=%%user.uid container=%%container.id)\n  priority: %s\n  tags: [container, hardstand]\n",
			p.Name, name, desc, condition, name, priority)
	}
	const spawned = "evt.type in (execve, execveat) and "
	allowed := []string{p.Check[0]}
	if p.Program != "" {
		allowed = append(allowed, p.Program)
		rule("unexpected program", "A program runs that is neither the application nor its probe", spawned+in+" and not proc.exepath in ("+list(append(allowed, p.Decoys...))+")", "WARNING")
	}
	rule("program from outside the image", "A program runs that was written after the container started", spawned+in+" and proc.is_exe_upper_layer = true", "CRITICAL")
	if len(p.Decoys) > 0 {
		rule("decoy", "Somebody runs a decoy", spawned+in+" and proc.exepath in ("+list(p.Decoys)+")", "CRITICAL")
	}
	if len(p.Tokens) > 0 {
		rule("canary token", "Somebody reads a canary token", "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and "+in+" and fd.name in ("+list(p.Tokens)+")", "CRITICAL")
	}
	if len(p.Egress) > 0 {
		rule("unexpected connection", "It connects to something else than what it is known to need", "evt.type = connect and fd.type in (ipv4, ipv6) and "+in+" and not "+p.expected(), "WARNING")
	}
	return []byte(b.String()), nil
}

// expected is the condition of a connection that is no surprise: within the
// container, to a name server, or to a destination of the profile.
func (p Profile) expected() string {
	parts := []string{`fd.snet in ("127.0.0.0/8", "::1/128")`, "fd.sport = 53"}
	for _, e := range p.Egress {
		prefix, port, _ := destination(e) // complete saw that it is one
		parts = append(parts, fmt.Sprintf("(fd.snet = %q and fd.sport = %d)", prefix.String(), port))
	}
	return "(" + strings.Join(parts, " or ") + ")"
}

func list(paths []string) string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = fmt.Sprintf("%q", p)
	}
	return strings.Join(out, ", ")
}
