package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/hardstand/hardstand/audit"
)

var rule11j = rule{audit.Rule{
	ID: "CHG-1.1j", Title: "Variables are defined before their use", Severity: audit.Low, Since: 1, Kinds: []audit.Kind{audit.Dockerfile},
	Aliases:  []string{"UndefinedVar", "DL3044"},
	Why:      "An undefined variable is empty: COPY app $DEST/ then copies to the root directory.",
	Fix:      "Declare it in the stage with ARG or ENV. An ARG before the first FROM has to be repeated inside the stage.",
	Evidence: "line and variable",
}, func(c *check) {
	c.held = "every variable outside RUN is defined"
	for _, s := range c.stages {
		if s.reachable {
			c.undefined(s)
		}
	}
}}

func (c *check) undefined(s *stage) {
	known := map[string]bool{}
	for _, k := range automaticArgs {
		known[k] = true
	}
	for p := s.parent; p != nil; p = p.parent {
		for k := range p.env {
			known[k] = true
		}
	}
	root := s
	for root.parent != nil {
		root = root.parent
	}
	// An external base brings variables that the file does not show; PATH and
	// those that a stage extends are the usual ones.
	external := root.base != "scratch"
	asked := map[string]bool{}
	for _, in := range s.instrs {
		if in.onbuild {
			continue
		}
		own := map[string]bool{}
		for _, word := range expandedWords(in, own) {
			for _, name := range variables(word) {
				switch {
				case known[name] || predefined[name]:
				case own[name] && !external:
					c.warn(spot{in: in, alias: "DL3044", observed: "$" + name + " is used in the ENV that defines it", expected: "an ENV of its own before it"})
				case external && (own[name] || maybeInherited(name)):
				case external && !c.global(name):
					// Only a warning would be sure; the base may define it.
					if !asked[name] {
						asked[name] = true
						c.unknown("the environment of "+root.base, "$"+name+" on line "+strconv.Itoa(in.start))
					}
				default:
					c.warn(spot{in: in, alias: "UndefinedVar", observed: "$" + name + " is not defined here", expected: "ARG " + name + " or ENV " + name + "=... before this line"})
				}
			}
		}
		for _, name := range defines(in) {
			known[name] = true
		}
	}
}

// global reports whether a name is an ARG before the first FROM, which does
// not reach into stages by itself.
func (f *file) global(name string) bool {
	for _, in := range f.meta {
		for _, a := range in.cmd.(*instructions.ArgCommand).Args {
			if a.Key == name {
				return true
			}
		}
	}
	return false
}

// maybeInherited reports whether images commonly define a variable.
func maybeInherited(name string) bool {
	switch name {
	case "PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "GOPATH", "JAVA_HOME", "PYTHONPATH", "NODE_PATH", "CARGO_HOME", "RUSTUP_HOME", "CATALINA_HOME",
		"NODE_VERSION", "PYTHON_VERSION", "NGINX_VERSION", "POSTGRES_VERSION", "PGDATA", "PHP_INI_DIR", "GEM_HOME", "BUNDLE_PATH", "VIRTUAL_ENV":
		return true
	}
	return strings.HasSuffix(name, "_HOME") || strings.HasSuffix(name, "PATH")
}

// predefined are the build arguments that need no ARG.
var predefined = map[string]bool{
	"HTTP_PROXY": true, "http_proxy": true, "HTTPS_PROXY": true, "https_proxy": true, "FTP_PROXY": true, "ftp_proxy": true,
	"NO_PROXY": true, "no_proxy": true, "ALL_PROXY": true, "all_proxy": true, "PATH": true, "SOURCE_DATE_EPOCH": true,
}

// expandedWords are the parts of an instruction in which the builder puts
// variables. own receives the names that the instruction itself defines.
func expandedWords(in *instr, own map[string]bool) []string {
	switch cmd := in.cmd.(type) {
	case *instructions.EnvCommand:
		var list []string
		for _, kv := range cmd.Env {
			own[kv.Key] = true
			list = append(list, kv.Value)
		}
		return list
	case *instructions.LabelCommand:
		var list []string
		for _, kv := range cmd.Labels {
			list = append(list, kv.Value)
		}
		return list
	case *instructions.CopyCommand:
		return append(append([]string{}, cmd.SourcePaths...), cmd.DestPath, cmd.Chown)
	case *instructions.AddCommand:
		return append(append([]string{}, cmd.SourcePaths...), cmd.DestPath, cmd.Chown)
	case *instructions.WorkdirCommand:
		return []string{cmd.Path}
	case *instructions.UserCommand:
		return []string{cmd.User}
	case *instructions.ExposeCommand:
		return cmd.Ports
	case *instructions.VolumeCommand:
		return cmd.Volumes
	case *instructions.StopSignalCommand:
		return []string{cmd.Signal}
	}
	return nil
}

func defines(in *instr) []string {
	var list []string
	switch cmd := in.cmd.(type) {
	case *instructions.EnvCommand:
		for _, kv := range cmd.Env {
			list = append(list, kv.Key)
		}
	case *instructions.ArgCommand:
		for _, a := range cmd.Args {
			list = append(list, a.Key)
		}
	}
	return list
}
