package build

import (
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
)

func configOf(d *spec.Definition, img *Image) oci.Config {
	c := oci.Config{
		Platform: img.Platform, Created: img.Created, User: img.user(d),
		Entrypoint: entrypoint(d), Cmd: d.Cmd, WorkDir: d.WorkDir, Labels: annotations(d, img.Created),
	}
	if c.WorkDir == "" {
		c.WorkDir = img.base.workDir()
	}
	if c.WorkDir == "" {
		c.WorkDir = map[string]string{"nonroot": "/home/nonroot"}[d.Accounts.RunAs]
		if c.WorkDir == "" {
			c.WorkDir = "/"
		}
	}
	environment := map[string]string{"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if _, _, ok := img.Tree.Lookup("etc/ssl/certs/ca-certificates.crt"); ok {
		environment["SSL_CERT_FILE"] = "/etc/ssl/certs/ca-certificates.crt"
	}
	img.base.inherit(d, &c, environment)
	maps.Copy(environment, img.environment)
	maps.Copy(environment, d.Environment)
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		c.Environment = append(c.Environment, name+"="+environment[name])
	}
	if p := d.Probe; p != nil {
		c.Healthcheck = &v1.HealthConfig{
			Test: append([]string{"CMD", p.Path}, p.Args...), Interval: time.Duration(p.Interval),
			Timeout: time.Duration(p.Timeout), StartPeriod: time.Duration(p.StartPeriod), Retries: p.Retries,
		}
	}
	return c
}

func annotations(d *spec.Definition, created time.Time) map[string]string {
	m := map[string]string{
		"org.opencontainers.image.title":   d.Name,
		"org.opencontainers.image.source":  SourceURL,
		"org.opencontainers.image.created": created.UTC().Format(time.RFC3339),
	}
	if d.Description != "" {
		m["org.opencontainers.image.description"] = d.Description
	}
	if d.From != nil {
		repository, digest, _ := strings.Cut(d.From.Image, "@")
		m["org.opencontainers.image.base.digest"] = digest
		if !strings.HasPrefix(repository, "oci:") { // a directory is nowhere for others
			m["org.opencontainers.image.base.name"] = repository
		}
	}
	maps.Copy(m, d.Annotations)
	return m
}
