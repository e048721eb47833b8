//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"
)

// alone are the images whose packages are built without a probe and decoys too:
// what tools that only compose packages do.
var alone = []string{"static", "base"}

// prepareAlone writes and locks their definitions.
func (b *bench) prepareAlone(ctx context.Context) error {
	for _, image := range alone {
		if err := b.packagesAlone(image); err != nil {
			return fmt.Errorf("write a definition of the packages of %s: %w", image, err)
		}
		for _, line := range [][]string{{b.hardstand, "lock", b.alone(image), "-q"}, b.build(b.alone(image), "out", "--locked")} {
			if _, err := execute(ctx, b.env("warm"), line); err != nil {
				return err
			}
		}
		if err := b.keepLocked(filepath.Join(filepath.Dir(b.alone(image)), image+".lock.json")); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) alone(image string) string { return b.path(image+"-alone", image+".yaml") }

// packagesAlone puts what an image includes into one definition, without the
// probe, the decoys and the variants.
func (b *bench) packagesAlone(image string) error {
	whole := map[string]any{}
	for _, file := range []string{"parts/common.yaml", "parts/trixie.yaml", image + ".yaml"} {
		text, err := os.ReadFile(filepath.Join("images", file))
		if err != nil {
			return err
		}
		part := map[string]any{}
		if err := yaml.Unmarshal(text, &part); err != nil {
			return err
		}
		for key, value := range part {
			list, ok := value.([]any)
			if old, has := whole[key].([]any); ok && has {
				value = slices.Concat(old, list)
			}
			whole[key] = value
		}
	}
	maps.DeleteFunc(whole, func(key string, _ any) bool {
		return slices.Contains([]string{"include", "probe", "canary", "variants", "description"}, key)
	})
	whole["name"] = image
	text, err := yaml.Marshal(whole)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.alone(image)), 0o700); err != nil {
		return err
	}
	return os.WriteFile(b.alone(image), text, 0o600)
}

func (b *bench) fromDebsAlone() (list []contender) {
	for _, image := range alone {
		list = append(list, contender{name: "debs cached, packages of " + image + " alone", setup: b.fresh("debs"), env: b.env("cold"),
			commands: [][]string{b.build(b.alone(image), "out", "--locked", "--offline", "--platform", "linux/amd64")}})
	}
	return list
}
