package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/sign"
)

// errLost says that something attached is gone again: another machine has
// written the same list from an older copy.
var errLost = errors.New("another writer removed it")

// vouch signs and verifies until everything is there at once.
func (p *publication) vouch(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		if err := p.timed(ctx, StepSign, p.sign); err != nil {
			return err
		}
		err := p.timed(ctx, StepVerify, p.verify)
		if !errors.Is(err, errLost) || attempt >= p.Remote.attempts() {
			return err
		}
		if err := sleep(ctx, pause(p.Remote.backoff(), attempt)); err != nil {
			return err
		}
	}
}

// sign attaches what is missing to every manifest. No name leads to any of them
// yet, so that they need not wait for each other.
func (p *publication) sign(ctx context.Context) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(p.Remote.jobs())
	signed := make([]bool, len(p.subjects))
	for i, s := range p.subjects {
		group.Go(func() (err error) {
			signed[i], err = p.signOne(gctx, s)
			return err
		})
	}
	err := group.Wait()
	for _, did := range signed {
		if did {
			p.result.Signed++
		}
	}
	return err
}

// signOne signs what has no valid signature and attests what is not attested.
// What others attached stays, and is not counted on.
func (p *publication) signOne(ctx context.Context, s subject) (bool, error) {
	report, err := p.look(ctx, s)
	if err != nil {
		return false, err
	}
	a, err := p.prepare(ctx, s, report)
	if err != nil {
		return false, err
	}
	return !a.empty(), p.repo.attach(ctx, a)
}

// look finds what this signer has attached already. An image that was not there
// when publishing began has nothing, and nobody is asked.
func (p *publication) look(ctx context.Context, s subject) (sign.Report, error) {
	p.mu.Lock()
	absent := p.absent[s.desc.Digest]
	delete(p.absent, s.desc.Digest) // holds for the first look only
	p.mu.Unlock()
	if absent {
		return sign.Report{Digest: s.desc.Digest}, nil
	}
	report, err := sign.Verify(ctx, p.repo, s.desc.Digest, p.own())
	if refused := (*sign.RefusedError)(nil); err != nil && !errors.As(err, &refused) {
		return report, fmt.Errorf("look for signatures: %w", err)
	}
	return report, nil
}

// own accepts what this signer made, and nobody else: after a rotation the old
// key's signature is no reason to leave out the new one's.
func (p *publication) own() sign.VerifyOptions {
	if p.Signer.Keyless() {
		return sign.VerifyOptions{Identities: p.Verify.Identities, TrustedRoot: p.Verify.TrustedRoot, Now: p.Verify.Now, Forms: p.forms()}
	}
	return sign.VerifyOptions{Keys: []sign.Key{p.Signer.Key()}, Forms: p.forms()}
}

func (p *publication) prepare(ctx context.Context, s subject, have sign.Report) (attachment, error) {
	a := attachment{subject: s.desc}
	if !p.attestOnly && !p.Signer.Keyless() && !hasForm(have.Signatures, sign.FormLegacy) {
		l, err := p.Signer.SignImage(ctx, p.Identity, s.desc.Digest)
		if err != nil {
			return a, err
		}
		a.signatures = append(a.signatures, l)
	}
	var wanted []wantedStatement
	if !p.attestOnly && !hasForm(have.Signatures, sign.FormBundle) {
		// Its envelope is left out: in .att it would pass for an attestation.
		wanted = append(wanted, wantedStatement{sign.SignatureStatement(s.desc.Digest), true, false})
	}
	for _, st := range s.statements {
		bundled := hasStatement(have.Attestations, st, sign.FormBundle)
		enveloped := p.Signer.Keyless() || hasStatement(have.Attestations, st, sign.FormLegacy)
		if !bundled || !enveloped {
			wanted = append(wanted, wantedStatement{st, !bundled, !enveloped})
		}
	}
	err := p.signStatements(ctx, &a, wanted)
	return a, err
}

// wantedStatement is a statement to sign, in one form or both.
type wantedStatement struct {
	sign.Statement
	bundle, envelope bool
}

// signStatements signs side by side, since a log takes its time for each entry,
// and attaches in order.
func (p *publication) signStatements(ctx context.Context, a *attachment, wanted []wantedStatement) error {
	signed := make([]sign.Signed, len(wanted))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.Remote.jobs())
	for i, w := range wanted {
		group.Go(func() (err error) {
			signed[i], err = p.Signer.SignStatement(ctx, w.Statement)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, w := range wanted {
		if w.bundle {
			b, err := newBundle(a.subject, w.PredicateType, signed[i].Bundle)
			if err != nil {
				return err
			}
			a.bundles = append(a.bundles, b)
		}
		if w.envelope {
			a.envelopes = append(a.envelopes, signed[i].Envelope)
		}
	}
	return nil
}

func hasForm(list []sign.Evidence, form sign.Form) bool {
	return slices.ContainsFunc(list, func(e sign.Evidence) bool { return e.Form == form })
}

// missing lists the statements that have no verified attestation in every form
// that the signer writes.
func (p *publication) missing(s subject, r sign.Report) []sign.Statement {
	var out []sign.Statement
	for _, st := range s.statements {
		for _, form := range p.forms() {
			if !hasStatement(r.Attestations, st, form) {
				out = append(out, st)
				break
			}
		}
	}
	return out
}

func (p *publication) forms() []sign.Form {
	if p.Signer.Keyless() {
		return []sign.Form{sign.FormBundle}
	}
	return []sign.Form{sign.FormLegacy, sign.FormBundle}
}

func hasStatement(list []sign.Evidence, st sign.Statement, form sign.Form) bool {
	return slices.ContainsFunc(list, func(e sign.Evidence) bool {
		return e.Form == form && e.PredicateType == st.PredicateType && samePredicate(e.Statement.Predicate, st.Predicate)
	})
}

func samePredicate(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
