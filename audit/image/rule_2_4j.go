package image

import (
	"archive/tar"
	"path"
	"strings"

	"github.com/hardstand/hardstand/audit"
)

var rule24j = rule{audit.Rule{
	ID: "CHG-2.4j", Title: "No layer contains repositories, environment files or credential files", Severity: audit.High, Since: 1,
	Kinds: []audit.Kind{audit.Image}, Aliases: []string{"CIS-DI-0010", "DKL-LI-0003"},
	Why:      "Files that a recursive copy swept up tell an intruder about the source, the people and the accounts.",
	Fix:      "Copy named files only, and write a .dockerignore that denies by default.",
	Evidence: "layer and path",
}, func(c *check) {
	c.method = "names of every file of every layer"
	var list []*entry
	seen := map[string]bool{}
	for _, l := range c.layers {
		for _, e := range l.entries {
			if what := valuable(e); what != "" && !c.decoy(e) && !seen[l.diffID+what] {
				seen[l.diffID+what] = true
				list = append(list, e)
			}
		}
	}
	c.files(audit.Fail, list, "no such file in any layer", func(e *entry) string { return valuable(e) }, "no such file in any of the layers")
}}

var credentialFiles = map[string]string{
	".env": "an environment file", ".npmrc": "npm's credentials", ".netrc": "network credentials", ".pypirc": "PyPI's credentials",
	".git-credentials": "git's credentials", ".bash_history": "a shell's history", ".ash_history": "a shell's history",
	".pgpass": "PostgreSQL's passwords", ".htpasswd": "a password file", "terraform.tfstate": "Terraform's state",
	"id_rsa": "an SSH key", "id_ecdsa": "an SSH key", "id_ed25519": "an SSH key", "id_dsa": "an SSH key",
}

// valuable says what a file is by its name. Directories of repositories are
// named once.
func valuable(e *entry) string {
	if e.kind == tar.TypeDir || e.size == 0 {
		return ""
	}
	dir, base := path.Split(e.path)
	if i := strings.Index("/"+dir, "/.git/"); i >= 0 {
		return "a git repository in /" + dir[:i]
	}
	switch path.Base(dir) + "/" + base {
	case ".aws/credentials", ".docker/config.json", ".kube/config", ".gcloud/credentials.db", ".azure/accessTokens.json":
		return "credentials of a service: " + path.Base(dir) + "/" + base
	}
	if strings.HasPrefix(base, ".env.") && base != ".env.example" && base != ".env.sample" && base != ".env.template" {
		return "an environment file"
	}
	if strings.HasSuffix(base, ".tfstate") {
		return "Terraform's state"
	}
	return credentialFiles[base]
}
