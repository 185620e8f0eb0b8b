//! The cheapest of several settings whose risk is controlled: Learn then Test (Angelopoulos et al., arXiv 2110.01052).
//!
//! The settings are ordered from the safest on, without a look at the episodes that test them. Each is tested against
//! "its risk is above E"; the first that is not rejected ends the sequence (fixed-sequence testing), and the one before
//! it is kept. With probability 1 - D over the episodes that are drawn, its true risk is at most E.

/// What is promised of a setting: its mean loss an episode is at most `risk`, with probability `confidence`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promise {
    /// E, above 0 and below 1.
    pub risk: f64,
    /// 1 - D, above 0 and below 1.
    pub confidence: f64,
}

/// A setting that keeps a promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Which of the settings.
    pub setting: usize,
    /// Its mean loss over the episodes.
    pub mean: f64,
    /// How probable so little loss would be if its risk were above E.
    pub p: f64,
}

/// Why a promise cannot be given.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum RiskError {
    /// Even without any loss.
    #[error(
        "{found} episodes are too few to promise a risk of at most {risk} with confidence {confidence}: at least {needed} are needed, and more where there is loss; calibrate on more recordings"
    )]
    TooFew {
        /// How many there are.
        found: usize,
        /// The promise.
        risk: f64,
        /// The promise.
        confidence: f64,
        /// How many would do if none had any loss.
        needed: usize,
    },
    /// There is loss at the safest setting already.
    #[error(
        "the safest setting has a mean loss of {mean:.4} over {episodes} episodes (p = {p:.3}): that does not promise a risk of at most {risk}; allow more, or calibrate on more recordings"
    )]
    None {
        /// Of the safest.
        mean: f64,
        /// How many there are.
        episodes: usize,
        /// Of the safest.
        p: f64,
        /// The promise.
        risk: f64,
    },
}

/// `losses`: of each setting, from the safest on, one loss in 0..=1 an episode, the same episodes for all.
///
/// # Errors
/// [`RiskError`].
pub fn controlled(losses: &[Vec<f64>], promise: Promise) -> Result<Kept, RiskError> {
    let Promise { risk, confidence } = promise;
    let episodes = losses.first().map_or(0, Vec::len);
    let needed = ((1.0 - confidence).ln() / (1.0 - risk).ln()).ceil() as usize;
    if episodes < needed {
        return Err(RiskError::TooFew { found: episodes, risk, confidence, needed });
    }
    let mut kept = None;
    for (setting, losses) in losses.iter().enumerate() {
        let mean = losses.iter().sum::<f64>() / episodes as f64;
        let p = p_value(mean, episodes, risk);
        if p > 1.0 - confidence {
            return kept.ok_or(RiskError::None { mean, episodes, p, risk });
        }
        kept = Some(Kept { setting, mean, p });
    }
    kept.ok_or(RiskError::TooFew { found: 0, risk, confidence, needed })
}

/// The Hoeffding-Bentkus p-value of "the risk is above `risk`" where `n` losses in 0..=1 have this mean
/// (arXiv 2110.01052, proposition 2): min(exp(-n h(min(R, E), E)), e P(Bin(n, E) <= ceil(n R))).
fn p_value(mean: f64, n: usize, risk: f64) -> f64 {
    let hoeffding = (-(n as f64) * divergence(mean.min(risk), risk)).exp();
    let bentkus = std::f64::consts::E * binomial_cdf((n as f64 * mean).ceil() as usize, n, risk);
    hoeffding.min(bentkus).min(1.0)
}

/// h(a, b) = a ln(a/b) + (1 - a) ln((1 - a)/(1 - b)), with 0 ln 0 = 0; b above 0 and below 1.
fn divergence(a: f64, b: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    part(a, b) + part(1.0 - a, 1.0 - b)
}

/// P(Bin(n, p) <= k), p above 0 and below 1.
fn binomial_cdf(k: usize, n: usize, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    let mut log_term = n as f64 * (1.0 - p).ln();
    let mut sum = log_term.exp();
    for i in 1..=k {
        log_term += ((n - i + 1) as f64 / i as f64 * p / (1.0 - p)).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Promise = Promise { risk: 0.1, confidence: 0.9 };

    #[test]
    fn the_p_value_is_the_published_formula() {
        // n = 10, E = 0.2: without loss both bounds are (1 - E)^n, Bentkus' e times that.
        assert!((p_value(0.0, 10, 0.2) - 0.8_f64.powi(10)).abs() < 1e-12);
        // R = 0.15: ceil(nR) = 2, P(Bin(10, 0.2) <= 2) = 0.6778; h(0.15, 0.2) = 0.15 ln 0.75 + 0.85 ln 1.0625.
        let h = 0.15 * 0.75_f64.ln() + 0.85 * 1.0625_f64.ln();
        assert!((p_value(0.15, 10, 0.2) - (-10.0 * h).exp()).abs() < 1e-12);
        assert!((binomial_cdf(2, 10, 0.2) - 0.677_799_5).abs() < 1e-6);
        assert_eq!(p_value(0.5, 10, 0.2), 1.0, "a mean above E rejects nothing");
    }

    #[test]
    fn the_last_setting_before_the_first_that_fails_is_kept() {
        let losses = [vec![0.0; 100], vec![0.01; 100], vec![0.2; 100], vec![0.0; 100]];
        let kept = controlled(&losses, PROMISE).unwrap();
        assert_eq!(kept.setting, 1, "what comes after a failure is not looked at");
        assert!((kept.mean - 0.01).abs() < 1e-12 && kept.p < 0.1);
    }

    #[test]
    fn too_few_episodes_are_refused_with_how_many_are_needed() {
        let error = controlled(&[vec![0.0; 21]], PROMISE).unwrap_err();
        assert_eq!(error, RiskError::TooFew { found: 21, risk: 0.1, confidence: 0.9, needed: 22 });
        assert!(controlled(&[vec![0.0; 22]], PROMISE).is_ok());
        assert!(matches!(controlled(&[vec![0.1; 50]], PROMISE), Err(RiskError::None { .. })));
    }

    /// Settings whose true risks rise from 0 through E: in a thousand draws of episodes the one that is kept has a risk
    /// above E in at most one of ten, whatever the losses are distributed like.
    #[test]
    fn the_promise_holds_in_nine_of_ten_draws_of_episodes() {
        let risks: Vec<f64> = (0..40).map(|j| 0.005 * f64::from(j)).collect();
        let binary = |u: f64, risk: f64| f64::from(u < risk);
        let spread = |u: f64, risk: f64| if u < 2.0 * risk { u / (2.0 * risk) } else { 0.0 };
        let shapes: [&dyn Fn(f64, f64) -> f64; 2] = [&binary, &spread];
        let mut random = fastrand::Rng::with_seed(7);
        for loss in shapes {
            let (mut broken, mut cheaper) = (0, 0);
            for _ in 0..1000 {
                // An episode that is hard is hard for every setting.
                let hard: Vec<f64> = (0..200).map(|_| random.f64()).collect();
                let losses: Vec<Vec<f64>> =
                    risks.iter().map(|&risk| hard.iter().map(|&u| loss(u, risk)).collect()).collect();
                let kept = controlled(&losses, PROMISE).unwrap().setting;
                broken += usize::from(risks[kept] > PROMISE.risk + 1e-12);
                cheaper += kept;
            }
            assert!(broken <= 100, "{broken} of 1000 promises were broken");
            assert!(cheaper / 1000 >= 8, "settings with a risk of 0.04 can be told apart from 0.1 by 200 episodes");
        }
    }
}
