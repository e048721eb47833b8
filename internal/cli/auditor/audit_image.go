package auditor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/audit/image"
	"github.com/hardstand/hardstand/internal/cli"
)

// imageOptions are the flags that say what is known about an image besides
// itself.
type imageOptions struct {
	platform    string
	register    string
	canaryKey   string
	evidence    []string
	replicas    []string
	maxAge      time.Duration
	keys        []string
	identity    string
	issuer      string
	trustedRoot string
	signatures  string
}

func (o *imageOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.register, "register", "", "decoy register `file` of the image: what it lists by digest is a decoy and no tool")
	flags.StringVar(&o.canaryKey, "canary-key", "", "`file` with the canary key that opens the register (default: canary.key in the configuration directory)")
	flags.StringArrayVar(&o.evidence, "evidence", nil, "exported `file`: GuardDuty get-detector, ECR describe-repositories or describe-registry, a publish ledger, alarms; may be repeated")
	flags.StringArrayVar(&o.replicas, "replica", nil, "`repository` that should have the same image; may be repeated")
	flags.DurationVar(&o.maxAge, "max-age", 0, "how old an image may be (default 840h)")
	flags.StringSliceVar(&o.keys, "key", nil, "public key `files` that images in a registry are signed with")
	flags.StringVar(&o.identity, "identity", "", "`subject` of the certificate of a keyless signature")
	flags.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer that vouched for the subject")
	flags.StringVar(&o.trustedRoot, "trusted-root", "", "trusted_root.json `file` that certificates are judged by")
	flags.StringVar(&o.signatures, "signatures", "", "`file` with the report of hardstand verify --json, instead of asking the registry")
}

func auditImage(ctx context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error) {
	opts, notes, err := o.image.options(ctx, f, t.arg)
	if err != nil {
		return verdicts{}, err
	}
	if t.digest != (v1.Hash{}) {
		opts.Digest = t.digest.String()
	}
	if opts.Signatures != nil && !about(opts.Signatures, t) {
		notes = append(notes, fmt.Sprintf("%s: the verification is about %s, which is another image: it is not used", t.arg, opts.Signatures.Digest))
		opts.Signatures = nil
	}
	unpacked := strings.HasPrefix(t.arg, "docker-archive:") || strings.HasPrefix(t.arg, "docker:")
	res, err := image.Audit(ctx, image.Input{Name: t.arg, Image: t.image, Unpacked: unpacked}, opts)
	if err != nil {
		return verdicts{}, err
	}
	return verdicts{res.Artifacts, res.Findings, append(notes, res.Notes...)}, nil
}

// about reports whether a verification is about the image that was opened. A
// tag may have moved in between, and a report may be of another image.
func about(s *image.Signatures, t target) bool {
	if t.digest == (v1.Hash{}) {
		return false // an archive, whose digest no registry knows
	}
	digests := []string{t.digest.String()}
	if own, err := t.image.Digest(); err == nil {
		digests = append(digests, own.String())
	}
	for _, p := range append([]image.Signatures{*s}, s.Platforms...) {
		if slices.Contains(digests, p.Digest) {
			return true
		}
	}
	return false
}

func (o *imageOptions) options(ctx context.Context, f *cli.Frame, arg string) (image.Options, []string, error) {
	opts := image.Options{Now: f.Now(), MaxAge: o.maxAge}
	if o.register != "" {
		var err error
		if opts.Register, err = loadRegister(f, o.register, o.canaryKey); err != nil {
			return opts, nil, err
		}
	}
	for _, file := range o.evidence {
		data, err := readLimited(file, image.MaxEvidence)
		if err != nil {
			return opts, nil, err
		}
		opts.Evidence = append(opts.Evidence, image.Evidence{Name: file, Data: data})
	}
	if err := o.verified(ctx, f, arg, &opts); err != nil {
		return opts, nil, err
	}
	var notes []string
	for _, r := range o.replicas {
		opts.Replicas = append(opts.Replicas, o.replica(ctx, f, arg, r))
	}
	return opts, notes, nil
}

// verified asks the executable that has the signing libraries. Linked here
// they would slow down every audit.
func (o *imageOptions) verified(ctx context.Context, f *cli.Frame, arg string, opts *image.Options) error {
	if o.signatures != "" {
		data, err := readLimited(o.signatures, image.MaxEvidence)
		if err != nil {
			return err
		}
		opts.Signatures, err = image.ParseSignatures(data)
		return err
	}
	if len(o.keys) == 0 && o.identity == "" {
		return nil
	}
	if !inRegistry(arg) {
		return nil // nothing is attached to a file; the rules say what they need
	}
	var err error
	opts.Signatures, err = o.verify(ctx, f, arg)
	return err
}

// verify has a reference verified by the trust policy of the flags.
func (o *imageOptions) verify(ctx context.Context, f *cli.Frame, arg string) (*image.Signatures, error) {
	args := []string{"verify", "--json"}
	for _, k := range o.keys {
		args = append(args, "--key", k)
	}
	for flag, value := range map[string]string{"--identity": o.identity, "--issuer": o.issuer, "--trusted-root": o.trustedRoot} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	out, code, err := cli.Ask(ctx, f, "hardstand-sign", append(args, "--", arg)...)
	if err != nil {
		return nil, err
	}
	if code != cli.ExitDone && code != cli.ExitRefused || len(out) == 0 {
		return nil, fmt.Errorf("verify %s: exit code %d; run hardstand verify to see more", arg, code)
	}
	return image.ParseSignatures(out)
}

// replica asks for an image in another repository, and by the trust policy,
// where there is one, whether what is attached there counts.
func (o *imageOptions) replica(ctx context.Context, f *cli.Frame, arg, repository string) image.Replica {
	r := askReplica(ctx, arg, repository)
	if r.Err != "" || len(r.Attached) == 0 || len(o.keys) == 0 && o.identity == "" {
		return r
	}
	ref, err := name.NewDigest(repository + "@" + r.Digest)
	if err == nil {
		r.Signatures, err = o.verify(ctx, f, ref.String())
	}
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

func inRegistry(arg string) bool {
	for _, prefix := range []string{"oci:", "docker:", "docker-archive:"} {
		if strings.HasPrefix(arg, prefix) {
			return false
		}
	}
	return true
}

// askReplica asks for the tag or digest of an image in another repository.
func askReplica(ctx context.Context, arg, repository string) image.Replica {
	r := image.Replica{Repository: repository}
	ref, err := replicaReference(arg, repository)
	if err != nil {
		r.Err = err.Error()
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	d, err := remote.Head(ref, options...)
	if err != nil {
		var answer *transport.Error
		if !errors.As(err, &answer) || answer.StatusCode != http.StatusNotFound {
			r.Err = err.Error()
		}
		return r
	}
	r.Digest = d.Digest.String()
	r.Attached = attached(ref.Context(), d.Digest, options)
	return r
}

func replicaReference(arg, repository string) (name.Reference, error) {
	ref, err := name.ParseReference(arg)
	if err != nil || !inRegistry(arg) {
		return nil, fmt.Errorf("%s names no tag or digest that a replica could have", arg)
	}
	repo, err := name.NewRepository(repository)
	if err != nil {
		return nil, err
	}
	if _, ok := ref.(name.Digest); ok {
		return repo.Digest(ref.Identifier()), nil
	}
	return repo.Tag(ref.Identifier()), nil
}

// attached lists what vouches for a digest there: referrers, and the tags of
// cosign.
func attached(repo name.Repository, digest v1.Hash, options []remote.Option) []string {
	var list []string
	if idx, err := remote.Referrers(repo.Digest(digest.String()), options...); err == nil {
		if m, err := idx.IndexManifest(); err == nil {
			for _, d := range m.Manifests {
				list = append(list, d.ArtifactType)
			}
		}
	}
	for _, kind := range []string{"sig", "att"} {
		if _, err := remote.Head(repo.Tag(digest.Algorithm+"-"+digest.Hex+"."+kind), options...); err == nil {
			list = append(list, kind)
		}
	}
	return list
}
