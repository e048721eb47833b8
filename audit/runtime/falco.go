package runtime

import (
	"fmt"
<<<<<<< HEAD
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
	b.WriteString("- required_engine_version: 0.57.0\n- required_plugin_versions:\n    - {name: container, version: 0.2.0}\n")
	rule := func(name, desc, condition, priority string) {
		fmt.Fprintf(&b, "- rule: %s %s\n  desc: %s\n  condition: >\n    %s\n  output: >\n    %s in %%container.name (command=%%proc.cmdline file=%%fd.name parent=%%proc.pname user=%%user.uid container=%%container.id)\n  priority: %s\n  tags: [container, hardstand]\n",
			p.Name, name, desc, condition, name, priority)
	}
	const spawned = "evt.type in (execve, execveat) and evt.dir = < and "
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
		rule("canary token", "Somebody reads a canary token", "evt.type in (open, openat, openat2) and evt.is_open_read = true and "+in+" and fd.name in ("+list(p.Tokens)+")", "CRITICAL")
	}
	return []byte(b.String()), nil
}

func list(paths []string) string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = fmt.Sprintf("%q", p)
	}
	return strings.Join(out, ", ")
=======
	"path"
	"slices"
	"strings"
)

type falcoEngine struct {
	Version string `yaml:"required_engine_version"`
}

type falcoPlugins struct {
	Plugins []falcoPlugin `yaml:"required_plugin_versions"`
}

type falcoPlugin struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
}

type falcoList struct {
	List  string   `yaml:"list"`
	Items []string `yaml:"items"`
}

type falcoMacro struct {
	Macro     string `yaml:"macro"`
	Condition string `yaml:"condition"`
}

type falcoRule struct {
	Rule      string   `yaml:"rule"`
	Desc      string   `yaml:"desc"`
	Condition string   `yaml:"condition"`
	Output    string   `yaml:"output"`
	Priority  string   `yaml:"priority"`
	Tags      []string `yaml:"tags,flow"`
}

// What the fields below need: is_exe_upper_layer and exepath of resolved
// links, and the container plugin, which has the container fields.
const (
	falcoEngineVersion = "0.57.0"
	falcoPluginVersion = "0.4.0"
)

const falcoOutput = "| container=%container.name id=%container.id image=%container.image.repository pod=%k8s.pod.name ns=%k8s.ns.name process=%proc.exepath command=%proc.cmdline parent=%proc.pname user=%user.uid"

// Falco writes rules for one image: programs outside an allow-list, decoys,
// credential files, and programs that came after the image.
func Falco(img Image, o Options) ([]byte, error) {
	o.NoHealth = true // Docker and Kubernetes may check in another way
	p, err := prepare(img, o)
	if err != nil {
		return nil, err
	}
	repository := repositoryOf(img.Reference)
	if repository == "" {
		return nil, fmt.Errorf("write Falco rules: the image has no name to be recognised by: give one with --image REPOSITORY")
	}
	allowed, err := p.programs()
	if err != nil {
		return nil, err
	}
	id := "hardstand_" + strings.ReplaceAll(p.Name, "-", "_")
	exec := id + "_container and evt.type in (execve, execveat) and evt.failed=false"
	docs := []any{
		falcoEngine{falcoEngineVersion}, falcoPlugins{[]falcoPlugin{{"container", falcoPluginVersion}}},
		falcoList{id + "_programs", allowed},
		falcoMacro{id + "_container", "container.id != host and container.image.repository = " + falcoText(repository)},
		p.rule("program outside the allow-list", "A program ran that the image does not start and that checks no health.",
			exec+" and not proc.exepath in ("+id+"_programs)", "CRITICAL", "T1059"),
		p.rule("program from the upper layer", "A program ran that is not in the image: it was written after the start.",
			exec+" and proc.is_exe_upper_layer=true", "CRITICAL", "T1105"),
	}
	if len(p.Decoys) > 0 {
		decoys, err := falcoPaths(p.Decoys)
		if err != nil {
			return nil, err
		}
		// proc.name too: a decoy that is a link has its program's path.
		var names []string
		for _, d := range p.Decoys {
			names = append(names, falcoText(path.Base(d)))
		}
		slices.Sort(names)
		docs = append(docs, falcoList{id + "_decoys", decoys}, falcoList{id + "_decoy_names", slices.Compact(names)},
			p.rule("decoy ran", "Somebody ran a decoy. Nothing in the image does.",
				exec+" and (proc.exepath in ("+id+"_decoys) or proc.name in ("+id+"_decoy_names))", "CRITICAL", "T1059"))
	}
	if len(p.Tokens) > 0 {
		tokens, err := falcoPaths(p.Tokens)
		if err != nil {
			return nil, err
		}
		docs = append(docs, falcoList{id + "_tokens", tokens},
			p.rule("canary file opened", "Somebody opened a planted credential file. Nothing in the image does.",
				id+"_container and evt.type in (open, openat, openat2) and evt.failed=false and evt.is_open_read=true and fd.name in ("+id+"_tokens)", "CRITICAL", "T1552"))
	}
	return toYAML(docs)
}

func (p *plan) rule(name, desc, condition, priority, technique string) falcoRule {
	output := "hardstand: " + name + " " + falcoOutput
	if strings.HasPrefix(name, "canary") {
		output += " file=%fd.name"
	}
	return falcoRule{"hardstand " + p.Name + ": " + name, desc, condition, output, priority, []string{"hardstand", "container", "mitre_" + technique}}
}

// programs are what may run: what the image starts, its health check, and
// what was allowed.
func (p *plan) programs() ([]string, error) {
	list := slices.Clone(p.Allow)
	start := slices.Concat(p.image.Entrypoint, p.image.Command)[0]
	if !path.IsAbs(start) {
		return nil, fmt.Errorf("the image starts %q, which is no absolute path: give what it becomes with --allow, and build the image with an absolute entry point", start)
	}
	list = append(list, start)
	if len(p.health) > 0 {
		list = append(list, p.health[0])
	}
	return falcoPaths(list)
}

func falcoPaths(paths []string) ([]string, error) {
	var list []string
	for _, f := range paths {
		if !path.IsAbs(f) || strings.ContainsAny(f, "\x00\n\r\"'") {
			return nil, fmt.Errorf("%q cannot stand in a Falco rule: it must be an absolute path without quotes", f)
		}
		list = append(list, falcoText(path.Clean(f)))
		for _, dir := range []string{"/bin/", "/sbin/", "/lib/"} {
			if strings.HasPrefix(path.Clean(f), dir) { // a link to /usr, and Falco shows where it leads
				list = append(list, falcoText("/usr"+path.Clean(f)))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// falcoText quotes what Falco's filter language would read as something else.
func falcoText(s string) string {
	if strings.ContainsAny(s, " ,()=<>!\"'") {
		return `"` + strings.ReplaceAll(s, `"`, "") + `"`
	}
	return s
}

// repositoryOf is a reference without tag and digest, as container runtimes
// report it.
func repositoryOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	if ref == "sha256" {
		return ""
	}
	return ref
>>>>>>> 64e107c (runtime: hardened docker run, Compose, Kubernetes, ECS, Falco and seccomp configuration from an image)
}
