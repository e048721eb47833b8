package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/internal/cli/composer"
	"github.com/hardstand/hardstand/sign"
	"github.com/hardstand/hardstand/sign/registry"
)

type publishOptions struct {
	composer.Options
	signerOptions
	replicas []string
	claims   []string
	format   string
	move     bool
	json     bool
	variants bool

	trust  trustOptions       // of a keyless signature, to verify what was written
	verify sign.VerifyOptions // the same, read
	signer *sign.Signer
}

func publishCommand(f *cli.Frame) *cobra.Command {
	var o publishOptions
	o.From = openFrom(f)
	cmd := &cobra.Command{
		Use:   "publish NAME|FILE|oci:DIR REGISTRY/REPOSITORY[:TAG]",
		Short: "Build, push, attest, sign, verify, and tag last",
		Long: `Build an image, or take one from an OCI layout, and publish it: push by digest,
attach SBOM and provenance, sign the index and every platform, verify what was
written, and set the tag last. Whoever resolves the tag finds a signed image.

A tag is never overwritten: if it names another image, nothing is pushed. If it
names this very image, signed, nothing is written and that is success. Without
a TAG, one is made that no other content gets: VERSION-rREVISION-DATE-DIGEST,
of a variant VERSION-VARIANT-rREVISION-DATE-DIGEST. So an image and its variants
can share a repository, and --variants publishes them all.

Plain HTTP is spoken to loopback registries only. Credentials are those of the
Docker configuration.`,
		Example: `  hardstand publish static registry.example/base/static:2026.11.1 --key hardstand.key
  hardstand publish oci:./static registry.example/base/static --key hardstand.key
  hardstand publish base registry.example/base:1 --key awskms:///alias/release --replica eu.example/base
  hardstand publish base 127.0.0.1:5000/base:1 --key hardstand.key --json
  hardstand publish base registry.example/base --variants --key hardstand.key
  hardstand publish oci:server.oci registry.example/server:1 --key hardstand.key --attest tests=results.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPublish(cmd.Context(), f, o, args[0], args[1])
		},
	}
	o.Options.Flags(cmd.Flags())
	o.signerOptions.flags(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.replicas, "replica", nil, "another `REGISTRY/REPOSITORY` to copy the image to under the same tag; may be repeated")
	cmd.Flags().StringArrayVar(&o.claims, "attest", nil, "also attest `TYPE[@PLATFORM]=FILE`, such as vulns=scan.json; may be repeated")
	cmd.Flags().StringVar(&o.trust.identity, "identity", "", "`subject` that a keyless signature will have")
	cmd.Flags().StringVar(&o.trust.issuer, "issuer", "", "`URL` of the issuer of that subject")
	cmd.Flags().StringVar(&o.trust.trustedRoot, "trusted-root", "", "trusted_root.json `file` to verify a keyless signature with")
	o.trust.instance.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.format, "format", "oci", "media types: oci, or docker for consumers that drop HEALTHCHECK otherwise")
	cmd.Flags().BoolVar(&o.move, "move", false, "let the tag be taken from the image it names; tags with a digest in them never move")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the result as JSON, with --variants one object an image")
	cmd.Flags().BoolVar(&o.variants, "variants", false, "publish every variant too, each under a tag of its own")
	return cmd
}

func runPublish(ctx context.Context, f *cli.Frame, o publishOptions, what, where string) error {
	format := oci.Format(o.format)
	if format != oci.OCI && format != oci.Docker {
		return cli.Usagef("format %q: want oci or docker", o.format)
	}
	if _, err := parseTarget(where, "0"); err != nil {
		return err
	}
	if _, err := parseReplicas(o.replicas, "0"); err != nil {
		return err
	}
	if err := o.checkVariants(what, where); err != nil {
		return err
	}
	var err error
	if o.signer, err = o.load(ctx, f, o.trust.instance); err != nil {
		return err
	}
	if o.signer.Keyless() {
		if o.verify, err = o.trust.options(ctx, f, "publish"); err != nil {
			return err
		}
	}
	if dir, ok := strings.CutPrefix(what, "oci:"); ok {
		idx, err := oci.ReadLayout(dir)
		if err != nil {
			return err
		}
		p, err := prepareLayout(f, dir, idx)
		if err != nil {
			return err
		}
		return o.publish(ctx, f, p, where)
	}
	sources, err := composer.LoadSources(what, o.variants)
	if err != nil {
		return err
	}
	if len(sources) > 1 {
		o.Share()
	}
	for _, s := range sources {
		r, err := o.Compose(ctx, f, s, format, nil)
		if err != nil {
			return err
		}
		if err := o.publish(ctx, f, attest(s, r), where); err != nil {
			return err
		}
	}
	return nil
}

// checkVariants refuses with --variants what can only be said of one image.
func (o *publishOptions) checkVariants(what, where string) error {
	switch {
	case !o.variants:
	case strings.HasPrefix(what, "oci:"):
		return cli.Usagef("%s is one image: --variants goes with NAME or FILE", what)
	case strings.ContainsRune(where[strings.LastIndexByte(where, '/')+1:], ':'):
		return cli.Usagef("%s is a tag for one image: with --variants each gets its own, so leave it out", where)
	case len(o.claims) > 0:
		return cli.Usagef("--attest is about one image: publish that one without --variants")
	}
	return nil
}

// publish pushes an image, and copies it to the replicas.
func (o *publishOptions) publish(ctx context.Context, f *cli.Frame, p prepared, where string) error {
	claims, err := readClaims(o.claims, p.platforms)
	if err != nil {
		return err
	}
	p.attestations = append(p.attestations, claims...)
	digest, err := p.index.Digest()
	if err != nil {
		return err
	}
	unique, err := registry.UniqueTag(p.version, 1, p.created, digest)
	if err != nil {
		return err
	}
	tag, err := parseTarget(where, unique)
	if err != nil {
		return err
	}
	replicas, err := parseReplicas(o.replicas, tag.TagStr())
	if err != nil {
		return err
	}
	ledger, err := openLedger(f)
	if err != nil {
		return err
	}
	progress := f.NewProgress("publishing "+tag.String(), o.Quiet)
	defer progress.Stop()
	result, err := registry.Publish(ctx, registry.PublishOptions{
		Index: p.index, Tag: tag, Signer: o.signer, Attestations: p.attestations, Move: o.move, Verify: o.verify, Ledger: ledger,
		Progress: func(e registry.Event) { progress.Label("%s %s", e.Step, stepBytes(e)) },
	})
	progress.Stop()
	var exists *registry.TagExistsError
	if errors.As(err, &exists) {
		return &cli.RefusedError{Err: err}
	}
	if err != nil {
		return err
	}
	if err := printPublished(f, o.json, tag, result); err != nil || len(replicas) == 0 {
		return err
	}
	return o.replicate(ctx, f, tag, replicas, ledger)
}

func (o *publishOptions) replicate(ctx context.Context, f *cli.Frame, tag name.Tag, replicas []name.Tag, ledger *registry.Ledger) error {
	verify := o.verify
	if !o.signer.Keyless() {
		verify = sign.VerifyOptions{Keys: []sign.Key{o.signer.Key()}}
	}
	verify.Platforms = true
	copies, err := registry.Replicate(ctx, registry.ReplicateOptions{Source: tag, Targets: replicas, Verify: verify, Ledger: ledger})
	for _, c := range copies {
		fmt.Fprintf(f.Stderr, "%-10s %s %s\n", c.State, c.Name, c.Reason)
	}
	return err
}

// parseReplicas gives each replica the tag of the original.
func parseReplicas(list []string, tag string) ([]name.Tag, error) {
	var full []string
	for _, s := range list {
		full = append(full, s+":"+tag)
	}
	return parseTags(full)
}

func stepBytes(e registry.Event) string {
	switch {
	case e.Step == registry.StepPush && e.Total > 0:
		return cli.Size(e.Done) + " of " + cli.Size(e.Total)
	case e.Total > 0:
		return fmt.Sprintf("%d of %d", e.Done, e.Total)
	}
	return ""
}

// parseTarget reads REGISTRY/REPOSITORY[:TAG].
func parseTarget(s, defaultTag string) (name.Tag, error) {
	if i := strings.LastIndexByte(s, ':'); i < 0 || strings.ContainsRune(s[i:], '/') {
		s += ":" + defaultTag
	}
	tag, err := registry.ParseTag(s)
	if err != nil {
		return name.Tag{}, cli.Usagef("%v", err)
	}
	return tag, nil
}

// prepared is an index with what is to be said about it.
type prepared struct {
	index        v1.ImageIndex
	attestations []registry.Attestation
	version      string
	created      time.Time
}

// platforms finds the manifest of each platform, OS/ARCH[/VARIANT].
func (p prepared) platforms() (map[string]v1.Hash, error) {
	return platformDigests(p.index)
}

// attest takes over what a build says of the index and of each platform.
func attest(s *composer.Source, r *build.Result) prepared {
	p := prepared{index: r.Index, version: spec.Releases[s.Definition.Debian.Suite], created: r.Created}
	if s.Variant != "" {
		p.version += "-" + s.Variant
	}
	for _, c := range r.Claims {
		p.attestations = append(p.attestations, registry.Attestation{Subject: c.Subject, PredicateType: c.PredicateType, Predicate: c.Predicate})
	}
	return p
}

func printPublished(f *cli.Frame, asJSON bool, tag name.Tag, r registry.Result) error {
	if asJSON {
		return f.PrintJSON(struct {
			Reference string `json:"reference"`
			registry.Result
		}{tag.Context().Digest(r.Digest.String()).String(), r})
	}
	if r.Existed {
		fmt.Fprintf(f.Stdout, "%s@%s\n  the tag names this image already, signed: nothing was written\n", tag, r.Digest)
		return nil
	}
	fmt.Fprintf(f.Stdout, "%s@%s\n  pushed %d blobs, %s; signed %d images; verified; tagged last\n",
		tag, r.Digest, r.Traffic.Blobs, cli.Size(r.Traffic.Bytes), r.Signed)
	for _, step := range []registry.Step{registry.StepCheck, registry.StepPush, registry.StepSign, registry.StepVerify, registry.StepTag} {
		if d, ok := r.Took[step]; ok {
			fmt.Fprintf(f.Stdout, "  %-7s %v\n", step, d.Round(time.Millisecond))
		}
	}
	return nil
}
