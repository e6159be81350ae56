//! Where a pass used its weights: what the gradients of the weights are made of, once the gradient has gone by.
//!
//! A backward has two halves that nobody has to do together. The gradient of the input is what the stage before waits for; the
//! gradients of the weights are wanted at the next step. So a forward notes each use of a weight with what went in and what came out.
//! The first half asks libtorch for the gradients of the input and of everything that came out, in one walk that computes no
//! gradient of a weight. The second half multiplies: the gradient of a matrix is (gradient of what came out)ᵀ · (what went in).
//! This is the split of a backward into B and W of zero-bubble pipelines (arXiv 2401.10241).

use tch::{Kind, Tensor};

use crate::{ModelError, shape::Parameter};

/// One use of a weight.
#[derive(Debug)]
enum Use {
    /// `output = input · weightᵀ`.
    Product { input: Tensor, output: Tensor },
    /// `output = input · weight`, element by element along the last dimension.
    Scale { input: Tensor, output: Tensor },
    /// `output[i] = weight[ids[i]]`.
    Lookup { ids: Tensor, output: Tensor },
}

/// The uses of a pass, in order.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Number of the parameter in the stage's layout, and its use.
    uses: Vec<(usize, Use)>,
    noting: bool,
}

impl Trace {
    /// For a pass whose backward will follow.
    pub(crate) fn new() -> Self {
        Self { uses: Vec::new(), noting: true }
    }

    /// For a pass without a backward.
    pub(crate) fn none() -> Self {
        Self { uses: Vec::new(), noting: false }
    }

    fn note(&mut self, parameter: usize, used: impl FnOnce() -> Use) {
        if self.noting {
            self.uses.push((parameter, used()));
        }
    }

    pub(crate) fn product(&mut self, parameter: usize, input: &Tensor, weight: &Tensor) -> Result<Tensor, ModelError> {
        let output = input.f_linear(weight, None::<Tensor>)?;
        self.note(parameter, || Use::Product { input: input.shallow_clone(), output: output.shallow_clone() });
        Ok(output)
    }

    /// `x · weight / rms(x)` over the last dimension.
    pub(crate) fn norm(
        &mut self,
        parameter: usize,
        x: &Tensor,
        weight: &Tensor,
        eps: f64,
    ) -> Result<Tensor, ModelError> {
        let wide = x.f_to_kind(Kind::Float)?;
        let scale = wide.f_square()?.f_mean_dim(-1i64, true, Kind::Float)?.f_add_scalar(eps)?.f_rsqrt()?;
        let input = wide.f_mul(&scale)?.f_to_kind(x.f_kind()?)?;
        let output = input.f_mul(weight)?;
        self.note(parameter, || Use::Scale { input: input.shallow_clone(), output: output.shallow_clone() });
        Ok(output)
    }

    /// Rows of a table. The result is a leaf: nothing before it has a gradient.
    pub(crate) fn lookup(
        &mut self,
        parameter: usize,
        ids: &Tensor,
        table: &Tensor,
        kind: Kind,
    ) -> Result<Tensor, ModelError> {
        let rows = tch::no_grad(|| Tensor::f_embedding(table, ids, -1, false, false)?.f_to_kind(kind))?;
        let output = rows.f_detach()?.f_set_requires_grad(self.noting)?;
        self.note(parameter, || Use::Lookup { ids: ids.shallow_clone(), output: output.shallow_clone() });
        Ok(output)
    }

    /// The first half: gradients of `input`, if there is one, and of whatever came out of a use.
    pub(crate) fn walk(self, scalar: Tensor, input: Option<&Tensor>) -> Result<(Option<Tensor>, Deferred), ModelError> {
        let mut wanted: Vec<&Tensor> = input.into_iter().collect();
        wanted.extend(self.uses.iter().map(|(_, used)| match used {
            Use::Product { output, .. } | Use::Scale { output, .. } | Use::Lookup { output, .. } => output,
        }));
        let mut gradients = Tensor::f_run_backward(&[scalar], &wanted, false, false)?.into_iter();
        let own = if input.is_some() { gradients.next() } else { None };
        let uses = self.uses.into_iter().zip(gradients).map(|((parameter, used), gradient)| {
            let made_of = match used {
                Use::Product { input, .. } => MadeOf::Product(input.detach()),
                Use::Scale { input, .. } => MadeOf::Scale(input.detach()),
                Use::Lookup { ids, .. } => MadeOf::Lookup(ids),
            };
            (parameter, made_of, gradient)
        });
        Ok((own, Deferred { uses: uses.collect() }))
    }
}

#[derive(Debug)]
enum MadeOf {
    Product(Tensor),
    Scale(Tensor),
    Lookup(Tensor),
}

/// The second half of a backward, still to be done.
#[derive(Debug)]
pub struct Deferred {
    uses: Vec<(usize, MadeOf, Tensor)>,
}

impl Deferred {
    /// Add the weights' gradients to `flat`, f32 `[P]`, in place and in the order in which the pass used the weights.
    pub(crate) fn add_to(self, flat: &Tensor, layout: &[Parameter]) -> Result<(), ModelError> {
        tch::no_grad(|| {
            for (parameter, made_of, gradient) in self.uses {
                let missing = ModelError::Misuse("a pass used a weight that its stage does not have");
                let p = layout.get(parameter).ok_or(missing)?;
                let mut sum = flat.f_narrow(0, p.offset as i64, p.length() as i64)?.f_reshape(&p.shape)?;
                match made_of {
                    MadeOf::Product(input) => {
                        let rows = |t: &Tensor| t.f_reshape([-1, t.size().last().copied().unwrap_or(1)]);
                        let (out, input) = (rows(&gradient)?.f_tr()?, rows(&input)?);
                        let _ = match input.f_kind()? {
                            // In one go: the sum is part of the product.
                            Kind::Float => sum.f_addmm_(&out, &input)?,
                            _ => sum.f_add_(&out.f_mm(&input)?)?,
                        };
                    }
                    MadeOf::Scale(input) => {
                        let each = gradient.f_to_kind(Kind::Float)?.f_mul(&input.f_to_kind(Kind::Float)?)?;
                        let width = each.size().last().copied().unwrap_or(1);
                        let _ = sum.f_add_(&each.f_reshape([-1, width])?.f_sum_dim_intlist(
                            [0i64].as_slice(),
                            false,
                            Kind::Float,
                        )?)?;
                    }
                    MadeOf::Lookup(ids) => {
                        let rows = gradient.f_to_kind(Kind::Float)?;
                        let count = p.shape.first().copied().unwrap_or(0);
                        let _ = sum.f_add_(&Tensor::f_embedding_dense_backward(&rows, &ids, count, -1, false)?)?;
                    }
                }
            }
            Ok(())
        })
    }
}
