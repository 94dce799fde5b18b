// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/sandbox"
)

// turnEncryptionOnAndOff goes the way of the guide: both kinds of connections are taken while the applications change
// over, and then one kind alone, and back.
func turnEncryptionOnAndOff(ctx context.Context, r *round) error {
	if err := r.encryption(ctx, v1alpha1.PlaintextAllowed, v1alpha1.TLSStageUsed); err != nil {
		return err
	}
	authority, err := r.authority(ctx)
	if err != nil {
		return err
	}
	encrypted, err := r.encrypted(ctx, authority)
	if err != nil {
		return err
	}
	if err := r.load.use(ctx, encrypted); err != nil {
		return err
	}
	if err := r.encryption(ctx, v1alpha1.PlaintextRefused, v1alpha1.TLSStageRequired); err != nil {
		return err
	}
	if err := r.encryption(ctx, v1alpha1.PlaintextAllowed, v1alpha1.TLSStageUsed); err != nil {
		return err
	}
	inClear, err := r.inClear(ctx)
	if err != nil {
		return err
	}
	if err := r.load.use(ctx, inClear); err != nil {
		return err
	}
	return r.noEncryption(ctx)
}

// encryption changes what is taken in clear, and waits until every pod has made the stage.
func (r *round) encryption(ctx context.Context, plaintext v1alpha1.Plaintext, stage v1alpha1.TLSStage) error {
	err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.TLS = &v1alpha1.TLSSpec{Plaintext: plaintext} })
	if err != nil {
		return err
	}
	return r.become(ctx, fmt.Sprintf("encryption to be at stage %s", stage), func(rha *v1alpha1.RedisHA) bool {
		return rha.Status.TLS != nil && rha.Status.TLS.Stage == stage
	})
}

func (r *round) noEncryption(ctx context.Context) error {
	if err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.TLS = nil }); err != nil {
		return err
	}
	return r.become(ctx, "encryption to be off", func(rha *v1alpha1.RedisHA) bool { return rha.Status.TLS == nil })
}

// become waits until the RedisHA is so by its status, and every pod is what the spec wants.
func (r *round) become(ctx context.Context, what string, is func(*v1alpha1.RedisHA) bool) error {
	return sandbox.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		rha, err := r.bed.Get(ctx, r.key)
		return err == nil && checks.UpToDate(rha) && is(rha), err
	})
}
