//go:build hardstand_e2e

// Command gatekeeper lets Gatekeeper's engine decide about a pod. It is built
// inside Gatekeeper's own module, by e2e/tools.sh.
//
//	gatekeeper OBJECTS.yaml PROVIDER-URL PROVIDER-CA.pem
//
// The objects are a template, its constraint and the pod. It exits with 0 if the
// pod may run, 1 if not, and 2 if there is no decision.
package main

import (
	"encoding/base64"
	"fmt"
	"os"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/externaldata/unversioned"
	constraint "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/externaldata"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/reader"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/gator/test"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func main() {
	refusals, err := decide(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, r := range refusals {
		fmt.Println(r)
	}
	if len(refusals) > 0 {
		os.Exit(1)
	}
}

func decide(objects, url, ca string) (refusals []string, err error) {
	raw, err := os.ReadFile(objects)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	list, err := reader.ReadUnstructureds(raw)
	if err != nil {
		return nil, err
	}
	cache := externaldata.NewCache()
	err = cache.Upsert(&unversioned.Provider{ObjectMeta: meta.ObjectMeta{Name: "ratify-provider"},
		Spec: unversioned.ProviderSpec{URL: url, Timeout: 3, CABundle: base64.StdEncoding.EncodeToString(pem)}})
	if err != nil {
		return nil, err
	}
	res, err := test.Test(list, func() ([]constraint.Opt, []rego.Arg, error) {
		return nil, []rego.Arg{rego.AddExternalDataProviderCache(cache)}, nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range res.Results() {
		refusals = append(refusals, r.Msg)
	}
	return refusals, nil
}
