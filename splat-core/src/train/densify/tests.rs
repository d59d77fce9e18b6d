use super::adc::SPLIT_SHRINK;
use super::mcmc::{MAX_COPIES, share};
use super::*;

fn gaussian(x: f32, opacity: f64, scale: f32) -> Gaussian {
    Gaussian {
        mean: [x, 0.0, 0.0],
        opacity_logit: logit(opacity),
        quat: [1.0, 0.0, 0.0, 0.0],
        log_scale: [scale.ln(); 3],
        scale_floor: 0.0,
    }
}

fn state<'a>(geometry: &'a [Gaussian], statistics: &'a [DensifyStatistic], cap: usize) -> State<'a> {
    State { geometry, statistics, extent: 1.0, cap, step: 100, refinements: 0.0 }
}

/// All Gaussians after a plan, with the sources of their colours and moments.
pub(in crate::train) fn executed(plan: &Plan, before: &[Gaussian]) -> (Vec<Gaussian>, Vec<GatherSource>) {
    match plan {
        Plan::Anew { geometry, sources } => (geometry.clone(), sources.clone()),
        Plan::Changed(changes) => {
            let ids = 0..before.len() as u32;
            let mut all: Vec<_> = before.iter().copied().zip(ids.map(kept)).collect();
            all.resize(changes.count as usize, (Gaussian::default(), kept(u32::MAX)));
            for ((&place, &gaussian), &source) in
                changes.places.iter().zip(&changes.geometry).zip(&changes.sources)
            {
                all[place as usize] = (gaussian, source);
            }
            all.into_iter().unzip()
        }
    }
}

#[test]
fn adc_clones_small_splits_large_and_prunes_faint() {
    let config = TrainConfig { strategy: Strategy::Adc, ..TrainConfig::default() };
    let geometry = [
        gaussian(0.0, 0.5, 0.001),
        gaussian(1.0, 0.5, 0.5),
        gaussian(2.0, 0.001, 0.1),
        gaussian(3.0, 0.5, 0.1),
    ];
    let statistics = [1.0, 1.0, 1.0, 0.0].map(|sum| DensifyStatistic { sum, views: 2.0 });
    let (planned, sources) = executed(&plan(&config, &state(&geometry, &statistics, 100)), &geometry);
    let ids: Vec<u32> = sources.iter().map(|source| source.gid).collect();
    assert_eq!(ids, [0, 1, 3, 0, 1]);
    assert_eq!(sources[0], kept(0), "a cloned Gaussian keeps its moments");
    assert_eq!(planned[3], geometry[0], "its clone is the same");
    assert!((planned[1].log_scale[0] - (0.5_f32 / SPLIT_SHRINK).ln()).abs() < 1e-6);
    assert_ne!(planned[1].mean, planned[4].mean, "halves are drawn apart");
    let capped = plan(&config, &state(&geometry, &statistics, 3));
    assert_eq!(capped.count(), 3, "the cap holds");
}

#[test]
fn sharing_keeps_the_opacity_of_the_stack() {
    for n in 2..=MAX_COPIES {
        let (shared, factor) = share(0.7, n);
        assert!((1.0 - (1.0 - shared).powi(n as i32) - 0.7).abs() < 1e-12);
        assert!(factor > 0.0 && factor <= 1.0, "{n}: {factor}");
    }
    // Two copies: o / (2 o' - o'^2 / sqrt 2), from the paper's equation.
    let (shared, factor) = share(0.75, 2);
    assert!((shared - 0.5).abs() < 1e-12);
    assert!((factor - 0.75 / (1.0 - 0.25 / 2.0_f64.sqrt())).abs() < 1e-12);
}

#[test]
fn new_gaussians_come_from_large_gradients_and_stand_apart() {
    let config = TrainConfig::default();
    let geometry: Vec<Gaussian> = (0..100).map(|i| gaussian(i as f32, 0.5, 0.01)).collect();
    let statistics: Vec<_> =
        (0..100).map(|i| DensifyStatistic { sum: if i < 50 { 1.0 } else { 0.0 }, views: 1.0 }).collect();
    let (planned, sources) = executed(&plan(&config, &state(&geometry, &statistics, 1000)), &geometry);
    assert_eq!(planned.len(), 114);
    assert!(sources[100..].iter().all(|source| source.gid < 50), "{:?}", &sources[100..]);
    // A Gaussian and its copies keep their common centre.
    for id in 0..50_usize {
        let family = (0..114).filter(|&i| sources[i].gid as usize == id);
        let means: Vec<[f32; 3]> = family.map(|i| planned[i].mean).collect();
        if means.len() == 2 {
            assert!((means[0][0] + means[1][0] - 2.0 * id as f32).abs() < 1e-4);
            assert_ne!(means[0], means[1]);
        }
    }
}

#[test]
fn mcmc_grows_by_the_same_number_each_time() {
    let config = TrainConfig::default();
    let mut count = 10_000;
    let mut numbers = Vec::new();
    for done in 0..4 {
        let geometry = vec![gaussian(0.0, 0.5, 0.1); count];
        let state = State { refinements: f64::from(done), ..state(&geometry, &[], 1_000_000) };
        count = plan(&config, &state).count();
        numbers.push(count);
    }
    for (number, wanted) in numbers.iter().zip([11_400, 12_800, 14_200, 15_600]) {
        assert!(number.abs_diff(wanted) <= 4, "{numbers:?}");
    }
}

#[test]
fn mcmc_moves_the_dead_and_grows_to_the_cap() {
    let config = TrainConfig::default();
    let mut geometry: Vec<Gaussian> = (0..100).map(|i| gaussian(i as f32, 0.5, 0.1)).collect();
    geometry[7] = gaussian(7.0, 0.001, 0.1);
    let statistics = vec![DensifyStatistic::default(); 100];
    let plan = plan(&config, &state(&geometry, &statistics, 103));
    let (planned, sources) = executed(&plan, &geometry);
    assert_eq!(planned.len(), 103);
    assert_ne!(sources[7].gid, 7, "the dead one has moved");
    assert_eq!(plan, super::plan(&config, &state(&geometry, &statistics, 103)), "same seed, same plan");
}

/// Plans for thousands of Gaussians, many of which grow, split or move, computed by one thread and by several.
#[test]
fn a_plan_does_not_depend_on_the_number_of_threads() {
    let mut random = Random::new(9, 0, 0);
    let mut geometry = Vec::new();
    let mut statistics = Vec::new();
    for i in 0..5_000 {
        geometry.push(gaussian(i as f32, 0.9 * random.uniform(), (random.uniform() * 0.02) as f32 + 1e-4));
        statistics.push(DensifyStatistic { sum: (random.uniform() * 4e-4) as f32, views: 1.0 });
    }
    for strategy in [Strategy::Adc, Strategy::Mcmc] {
        for cap in [5_050, 20_000] {
            let config = TrainConfig { strategy, ..TrainConfig::default() };
            let [one, several] = [1, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| super::plan(&config, &state(&geometry, &statistics, cap)))
            });
            let (planned, sources) = executed(&one, &geometry);
            assert!(planned.len() > 5_000, "{strategy:?}: {}", planned.len());
            assert!(sources.iter().any(|source| source.keeps_moments == 0), "{strategy:?}");
            assert!(one == several, "{strategy:?}, cap {cap}");
        }
    }
}
