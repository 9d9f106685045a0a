"""What commands advise, and where they say it: what is typed, and what is typed in its place."""

from __future__ import annotations

SHORT = "device=cpu images=8 batch=8 watch=off threads=1 save_share=1 evaluate_share=1 generator.width=4"
UNJUDGED = f"held_out=0 {SHORT.replace('evaluate_share=1 ', '')}"
LONGER = f"penalty_weight=auto discriminator.width=4 {UNJUDGED} images=80000"
SMALL = f"size=8 discriminator.width=4 {SHORT}"
EXTRA = f"learner=extragradient discriminator.width=4 {SHORT}"
MAPS = f"task.crop=null {SHORT}"
RUNS = {
    "classes": f"train gray-28 --data kinds.npz --set task=condition task.way=projection discriminator.width=4 {SHORT}",
    "pictures": f"train color-32 --data photos --set size=8 discriminator.width=4 {UNJUDGED}",
    "plain": f"train gray-28 --data kinds.npz --set task=generate discriminator.width=4 {SHORT}",
    "bare": f"train gray-28 --data kinds.npz --set task=condition discriminator.width=4 {UNJUDGED}",
    "few": f"train gray-28 --data few.npz --set discriminator.width=4 {SHORT}",
    "values": f"train gray-28 --data values.npz --set task=condition task.kind=values discriminator.width=4 {SHORT}",
    "enlarging": f"train upscale-x4 --data photos --set size=32 task.crop=32 discriminator.width=4 {SHORT}",
    "denoising": f"train denoise --data photos --set size=32 task.crop=32 {SHORT}",
    "filling": f"train fill-32 --data photos --set {SMALL}",
    "gaps": f"train fill-table --data gaps.csv --set discriminator.width=4 {SHORT}",
    "sorts": f"train table --data rows.csv --set data.label=kind task=condition discriminator.width=4 {SHORT}",
    "rows": f"train table --data rows.csv --set discriminator.width=4 {SHORT}",
    "floats": f"train gray-28 --data floats.npz --set loss=hinge task=condition discriminator.width=4 {SHORT}",
    "style": f"train color-32 --data photos --set generator=style {SMALL}",
    "inverse": f"train color-32 --data photos --set task=invertible {SMALL}",
    "hinged": "train gray-28 --data kinds.npz --set task=condition task.way=multi_hinge loss=hinge "
    f"discriminator.width=4 {SHORT}",
    "distance": f"train gray-28 --data kinds.npz --set task=generate loss=cramer discriminator.width=4 {SHORT}",
    "sphere": "train gray-28 --data kinds.npz --set task=condition task.way=concatenation prior=spherical "
    f"discriminator.width=4 {SHORT}",
    "own": f"train gray-28 --data kinds.npz --set task=generate discriminator=own:Judge {SHORT}",
    "twice": f"train gray-28 --data kinds.npz --set discriminator.width=4 {SHORT} images=16 save_share=0.5",
    "naming": f"train classify --data kinds.npz --set discriminator.width=4 {SHORT}",
    "segments": f"train segment --data seg --set {MAPS}",
    "coded": f"train color-32 --data photos --set task=infogan prior=coded {SMALL}",
}
"""Runs that are at work here, made when they are first named."""

LINES: dict[str, tuple[str, str]] = {
    "without conditions it is task=generate": (
        f"train gray-28 --data kinds.npz --quiet --out new --set task=condition discriminator=own:Judge {SHORT}",
        f"train gray-28 --data kinds.npz --quiet --out new --set task=generate discriminator=own:Judge {SHORT}",
    ),
    # fragment of a message: (what is typed, what is typed in its place); ; parts commands, of which the last one counts
    "train with --set task=condition": (
        "augment plain --to new --per-class 2",
        "augment classes --to new --per-class 2 --filters none",
    ),
    "is a run, whose pictures are no data": ("train --data pictures", "resume pictures"),
    "its data: name what is to be learned with --data": (
        "train --from plain --quiet --out new",
        "train --from plain --data few.npz --quiet --out new --images 8",
    ),
    "that run learned from --data": (
        "train --from plain --quiet --out new",
        "train --from plain --data kinds.npz --quiet --out new --images 8",
    ),
    "a longer one: `evenodds resume": (
        f"train gray-28 --data kinds.npz --out new --quiet --set discriminator.width=4 {SHORT}; resume new --quiet",
        "resume new --quiet --images 16",
    ),
    "ask for more with --images, or leave it out": (
        "copy twice new; resume new --quiet --images 9",
        "resume new --quiet",
    ),
    "describe regions, as labelme and COCO": (
        f"train color-32 --data described --out new --quiet --set {SMALL}",
        f"train segment --data described --out newer --quiet --set {MAPS}",
    ),
    "say how many: --per-class 500": (
        "augment classes --to new --filters none",
        "augment classes --to new --filters none --per-class 5; augment classes --to newer --filters none --balance",
    ),
    "name a folder that is not there with --to": (
        "augment classes --to photos --per-class 1 --filters none",
        "augment classes --to new --per-class 1 --filters none",
    ),
    "pictures that are named, and not of": (
        "classify naming kinds.npz --out a.csv --most-pixels 1000",
        "classify naming kinds.npz --out a.csv",
    ),
    "--again is of folders, leave it out": (
        "fill filling photos/1.png --mask mask.png -n 1 --again",
        "fill filling photos/1.png --mask mask.png -n 1",
    ),
    "is searched for copies, which --metrics leaves out": (
        "evaluate kinds.npz --against kinds.npz -n 20 --features pixels --metrics kernel --train kinds.npz",
        "evaluate kinds.npz --against kinds.npz -n 20 --features pixels --metrics memorisation --train kinds.npz;"
        "evaluate kinds.npz --against kinds.npz -n 20 --features pixels --metrics kernel",
    ),
    "(--again makes them anew)": (
        "upscale enlarging photos out; upscale enlarging photos out",
        "upscale enlarging photos out --again",
    ),
    "or add --again, which makes all of them anew": (
        "upscale enlarging photos out; upscale enlarging photos out --ensemble",
        "upscale enlarging photos other --ensemble; upscale enlarging photos out --ensemble --again",
    ),
    "and none is there; leave it out": (
        f"train color-32 --data photos --set data.label=species {SMALL}",
        f"train color-32 --data photos --set {SMALL}",
    ),
    "--one-hot is for samples of runs by class": (
        "export pictures --out a.onnx --one-hot",
        "export pictures --out a.onnx",
    ),
    "add --select budgeted, rejection or langevin": (
        "sample pictures -n 2 --rate 0.5 --npz a.npz",
        "sample pictures -n 2 --rate 0.5 --npz a.npz --select budgeted",
    ),
    "--select {} takes no --{}; leave --{} out": (
        "sample pictures -n 2 --select langevin --rate 0.3 --npz a.npz",
        "sample pictures -n 2 --select langevin --steps 2 --npz a.npz",
    ),
    "add --fit 1M, or leave --data out": (
        "sample pictures -n 2 --data photos --npz a.npz",
        "sample pictures -n 2 --npz a.npz; sample pictures -n 2 --data photos --select budgeted --fit 16 --npz a.npz",
    ),
    "add --select budgeted, or leave it out": (
        "sample pictures -n 2 --fit 16 --npz a.npz",
        "sample pictures -n 2 --npz a.npz; sample pictures -n 2 --fit 16 --select budgeted --npz a.npz",
    ),
    "ask for {} with --given": ("sample values -n 2 --class 1", "sample values -n 2 --given angle=0.5"),
    "ask for rows by what they hold, such as": (
        "sample rows -n 2 --class a",
        "sample rows -n 2 --given age=30..50 --npz a.npz",
    ),
    "see what its code stands for": ("sample coded -n 2 --class 1", "directions coded --how codes"),
    "leave --stops and --seed out": (
        "walk inverse --from photos/1.png --to photos/2.png --seed 1",
        "walk inverse --from photos/1.png --to photos/2.png --steps 3",
    ),
    "or leave --samples out": ("directions plain --samples 2", "directions plain --move 1 --samples 2"),
    "two images are mixed here; leave --class out": (
        "mix style --from photos/1.png --to photos/2.png --class a",
        "mix style",
    ),
    "leave --n, --move and --class out": ("directions coded --how codes --n 2", "directions coded --how codes"),
    "--n is how many are drawn in a sheet": (
        "directions plain --n 2 --move 1",
        "directions plain --move 1; directions plain --n 2",
    ),
    "--per-class says how many samples there are": (
        "sample classes -n 2 --per-class 2 --npz a.npz",
        "sample classes --per-class 2 --npz a.npz; sample classes -n 2 --npz a.npz",
    ),
    "which --skip-data does not read": (
        "doctor plain --data kinds.npz --skip-data",
        "doctor plain --skip-data; doctor plain --data kinds.npz",
    ),
    "--checkpoint is of a run whose generator is taken": ("trial --data kinds.npz --checkpoint best --out a", ""),
    "holds samples; leave --checkpoint out": (
        "evaluate kinds.npz --against kinds.npz -n 20 --features pixels --checkpoint best",
        "evaluate kinds.npz --against kinds.npz -n 20 --features pixels",
    ),
    "follow from --budget; leave images out": ("trial --data kinds.npz --set images=8 --out a", ""),
    "--size is of images in files": (
        "duplicates kinds.npz --size 64 --features random",
        "duplicates kinds.npz --features random; duplicates photos --size 64 --features random",
    ),
    "which stands after --set too": (
        "train gray-28 --data kinds.npz --seed 1 --set seed=2",
        f"train gray-28 --data kinds.npz --out a --quiet --seed 1 --set discriminator.width=4 {SHORT}",
    ),
    "--class asks for one class and --per-class for all": (
        "sample classes -n 2 --class 1 --per-class 2",
        "sample classes -n 2 --class 1; sample classes --per-class 2",
    ),
    "ask for one with --class '{}'; --given": (
        "sample classes -n 2 --given age=3",
        "sample classes -n 2 --class 0; sample rows -n 2 --given age=20..60 --npz a.npz",
    ),
    "takes name=value": ("sample rows -n 2 --given age", ""),
    "--given age=30": ("sample rows -n 2 --given age", "sample rows -n 2 --given age=30..50 --npz a.npz"),
    "for example --set learning_rate=0.001": (
        "train gray-28 --data kinds.npz --set learning_rate",
        f"train gray-28 --data kinds.npz --out a --quiet --set learning_rate=0.001 discriminator.width=4 {SHORT}",
    ),
    "got the file {}; name another one with --folder": (
        "sample pictures -n 2 --folder floats.npz",
        "sample pictures -n 2 --folder new",
    ),
    "name another folder with --folder, or move it away": (
        "sample classes -n 24 --folder maps",
        "sample classes -n 24 --folder new",
    ),
    "draw some: evenodds sample": ("walk rows", "sample rows -n 2"),
    "find their z with": ("reconstruct rows", "encode rows --images 16"),
    "draw them with evenodds sample": (
        "augment rows --to new --per-class 2 --filters none",
        "sample rows -n 2 --folder new",
    ),
    "draw them by class with": (
        "augment sorts --to new --per-class 2 --filters none",
        "sample sorts --per-class 2 --folder new",
    ),
    "take a run that draws samples, as of": (
        "features filling",
        f"train color-32 --data photos --out a --quiet --set {SMALL}; features a",
    ),
    "leave --truncation and --select out": (
        "sample filling -n 2 --truncation 0.5 --npz a.npz",
        "sample filling -n 2 --npz a.npz",
    ),
    "leave -n, --seed and --with out": (
        "mix style --from photos/0.png --to photos/1.png -n 2 --out a.png",
        "mix style -n 2 --out a.png",
    ),
    "take --features inception, or data with labels": (
        "evaluate photos --against others --metrics inception_score",
        "",
    ),
    "name others with --against, or leave it out": (
        "upscale enlarging photos out --against photos",
        "upscale enlarging photos out",
    ),
    "fillings need a folder, got": (
        "fill gaps gaps.csv -n 2 --out a.csv",
        "fill gaps gaps.csv -n 2 --out a",
    ),
    "name a table with the same columns": (
        "fill gaps --out a; move gaps.csv elsewhere.csv; fill gaps --out b",
        "fill gaps elsewhere.csv --out b",
    ),
    "{} fills images; {}: evenodds fill": (
        "fill filling photos/1.png",
        "fill filling photos/1.png --mask mask.png -n 1",
    ),
    "leave --strategy out": (
        "fill filling photos/1.png --mask mask.png --strategy draw",
        "fill filling photos/1.png --mask mask.png -n 1",
    ),
    "filling scales each; leave data.types out": (
        f"train fill-table --data gaps.csv --out a --quiet --set data.types=plain discriminator.width=4 {SHORT}",
        f"train fill-table --data gaps.csv --out a --quiet --set discriminator.width=4 {SHORT}",
    ),
    "train on more rows, or with held_out=0.2": (
        f"train fill-table --data gaps.csv --out a --quiet --set held_out=0.01 discriminator.width=4 {SHORT};"
        "evaluate a",
        f"train fill-table --data gaps.csv --out b --quiet --set held_out=0.2 discriminator.width=4 {SHORT};evaluate b",
    ),
    "add --with rows to hand these rows on": (
        "push gaps --to handed --licence other",
        "push gaps --to handed --licence other --with rows",
    ),
    "is played with generator={}, got": (
        f"train fill-table --data gaps.csv --out a --quiet --set generator=images discriminator.width=4 {SHORT}",
        f"train fill-table --data gaps.csv --out a --quiet --set generator=rows discriminator.width=4 {SHORT}",
    ),
    "; tables are filled by the recipe fill-table": (
        f"train fill-32 --data gaps.csv --out a --quiet --set discriminator.width=4 {SHORT}",
        f"train fill-table --data gaps.csv --out a --quiet --set discriminator.width=4 {SHORT}",
    ),
    "; images are filled by the recipe fill-32": (
        f"train fill-table --data gaps.csv --out a --quiet --set generator=images discriminator.width=4 {SHORT}",
        f"train fill-32 --data photos --out a --quiet --set {SMALL}",
    ),
    "fit it first (--fit 1M), train with": (
        "sample floats -n 2 --select rejection",
        "sample floats -n 2 --select rejection --fit 16; sample floats -n 2",
    ),
    "put it to work with `evenodds {}`": ("segment enlarging photos out", "upscale enlarging photos out"),
    "train one with `evenodds train fill-32": (
        "fill pictures photos/1.png --mask mask.png",
        "fill filling photos/1.png --mask mask.png -n 1",
    ),
    "train one with `evenodds train fill-table": (
        "fill rows gaps.csv",
        "fill gaps gaps.csv --out a",
    ),
    "train with --set generator=style": (
        "mix pictures --from photos/1.png --to photos/2.png --out a.png",
        "mix style --out a.png",
    ),
    "train with --set task=infogan prior=coded": (
        "directions pictures --how codes --out a.png",
        "directions coded --how codes --out a.png",
    ),
    "draws no samples; put it to work: evenodds {}": ("sample enlarging -n 2", "upscale enlarging photos out"),
    "train one that does with `evenodds train classify --data": (
        "classify pictures photos",
        "classify naming kinds.npz --out a.csv",
    ),
    "train one that does with `evenodds train classify-table": (
        "classify rows rows.csv",
        f"train classify-table --data rows.csv --out a --quiet --set data.label=kind discriminator.width=4 {SHORT}",
    ),
    "other data are put to it by evenodds classify {} DATA": (
        "evaluate naming --against kinds.npz",
        "classify naming kinds.npz --out a.csv",
    ),
    "name others that have a label: evenodds classify {} DATA": (
        f"train classify --data kinds.npz --out new --quiet --set discriminator.width=4 {UNJUDGED}; evaluate new",
        "classify new kinds.npz --out a.csv",
    ),
    "or the column of a table, with --set data.label=COLUMN": (
        f"train classify-table --data rows.csv --out a --quiet --set discriminator.width=4 {SHORT}",
        f"train classify-table --data rows.csv --out a --quiet --set data.label=kind discriminator.width=4 {SHORT}",
    ),
    "make one with `evenodds evaluate {}`": (
        "compare classes floats",
        "evaluate classes --metrics kernel --features pixels;"
        " evaluate classes --metrics kernel --features pixels --seed 1 --out b.json; compare classes b.json",
    ),
    "--size needs a side or HEIGHT,WIDTH": (
        "pack photos shards --size x",
        "pack photos shards --size 8,8; pack photos shard --size 8",
    ),
    "--set takes options of the reader here": (
        "pack photos shards --set batch=3",
        "pack photos shards --set data.channels=1",
    ),
    "train on them: evenodds train": (
        "pack photos shards",
        f"train color-32 --data shards --out a --quiet --set {SMALL}",
    ),
    "--npz FILE keeps them as they are": ("sample floats -n 2 --folder new", "sample floats -n 2 --npz a.npz"),
    "needs both --from and --to": (
        "walk coded --from photos/1.png",
        "",
    ),
    "{} ({}; see: evenodds list recipes)": (
        f"train --data photos --out a --quiet --set {SMALL}",
        "list recipes",
    ),
    "start without --from": (
        f"train color-32 --data photos --from rows --quiet --set {SMALL}",
        "sample pictures -n 1 --npz a.npz",
    ),
    "name them with --against: a folder": (
        "evaluate floats.npz --metrics kernel --features pixels",
        "evaluate floats.npz --metrics kernel --features pixels --against floats.npz",
    ),
    "no run was named; name real data with --against": (
        "evaluate floats.npz --metrics kernel --features pixels --data photos",
        "evaluate floats.npz --metrics kernel --features pixels --against floats.npz",
    ),
    "a y; or take --features random": (
        "evaluate inverse --features classifier --metrics kernel",
        "evaluate inverse --features random --metrics kernel",
    ),
    "classes to learn from; take --features random": (
        "evaluate floats --features classifier --metrics kernel",
        "evaluate floats --features random --metrics kernel",
    ),
    "name its folder: evenodds doctor RUN": ("doctor --data photos", "doctor pictures --skip-data"),
    "no run at {}: it has no config.yaml": (
        "resume photos",
        f"train color-32 --data photos --out a --quiet --set {SMALL}",
    ),
    "config.yaml, and evenodds opens no pickles": (
        "sample floats.npz -n 1",
        f"train gray-28 --data floats.npz --out a --quiet --set loss=hinge discriminator.width=4 {SHORT}",
    ),
    "no run at {}: there is no such folder": ("show nowhere", "train --help"),
    "no run at {}: this is the name of a recipe": (
        "show digits",
        f"train digits --out a --quiet --set discriminator.width=4 {SHORT}",
    ),
    "{} is a run, not a recipe": ("train pictures", "resume pictures"),
    "{} is a path, not a recipe": ("train photos", f"train color-32 --data photos --out a --quiet --set {SMALL}"),
    "is a recipe, and data are a path or a source": (
        "train --data color-32",
        f"train color-32 --data photos --out a --quiet --set {SMALL}",
    ),
    "is a recipe, not a command": ("digits", f"train digits --out a --quiet --set discriminator.width=4 {SHORT}"),
    "; data are named so: --data {}": (
        "train color-32 photos",
        f"train color-32 --data photos --out a --quiet --set {SMALL}",
    ),
    "is the folder of the data, and results are no data; give --out FOLDER": (
        f"copy photos runs; train color-32 --data runs --quiet --set {SMALL}",
        f"train color-32 --data runs --out a --quiet --set {SMALL}",
    ),
    "have the same names: if they are pairs": (
        f"train color-32 --data seg --out a --quiet --set {SMALL}",
        f"train segment --data seg --out b --quiet --set {MAPS}",
    ),
    "takes the run first": ("upscale photos enlarging out", "upscale enlarging photos out"),
    "and results are no data; give --out another folder": (
        "train color-32 --data photos --out photos",
        f"train color-32 --data photos --out a --quiet --set {SMALL}",
    ),
    "a trial needs --data": ("trial --out a", ""),
    "a trial needs labelled data of at least 2 classes": ("trial --data photos --out a", ""),
    "a trial of a table needs the column that names the class": ("trial --data rows.csv --out a", ""),
    "--label names a column of a table, and": ("trial --data kinds.npz --label kind --out a", ""),
    "--size is of images of folders and archives": ("trial --data rows.csv --label kind --size 8 --out a", ""),
    "--run takes that of a run; leave one out": ("trial --run plain --size 8 --out a", ""),
    "not tried; add gan to --arms": (
        "trial --data rows.csv --label kind --arms weights --classifier logistic --seeds 2 --out a",
        "",
    ),
    "they are alike as a kind; raise --threshold": (
        "duplicates photos --threshold 0.1 --features random",
        "duplicates photos --threshold 0.999 --features random",
    ),
    "say where the run goes: OWNER/NAME on the hub, or --to": (
        "push pictures",
        "push pictures --to handed --licence cc-by-4.0",
    ),
    "say under which licence the run is handed on": (
        "push pictures --to handed",
        "push pictures --to handed --licence apache-2.0; push pictures --to given --licence other",
    ),
    "--private and --revision are for a hub": (
        "push pictures --to handed --licence other --private",
        "push pictures --to handed --licence other",
    ),
    "take it with:  evenodds pull": ("push pictures --to handed --licence other", "pull handed --to pulled"),
    "look first:    evenodds doctor": (
        "push pictures --to handed --licence other; pull handed --to pulled",
        "doctor pulled --skip-data",
    ),
    "go on with it: evenodds resume {}, with --data": (
        "push pictures --to handed --licence other; pull handed --to pulled",
        "resume pulled --data photos --images 24 --quiet",
    ),
    "say where you have them with --data PLACE": (
        "push pictures --to handed --licence other; pull handed --to pulled; resume pulled --images 24 --quiet",
        "resume pulled --data photos --images 24 --quiet",
    ),
    "as it is; name another folder with --to": (
        "push pictures --to handed --licence other; push pictures --to handed --licence other",
        "push pictures --to other --licence other",
    ),
    "take a folder that `evenodds push` wrote": (
        "pull photos --to pulled",
        "push pictures --to handed --licence other; pull handed --to pulled",
    ),
    "pictures are left out, as items of the data are seen": (
        "push filling --to handed --licence other",
        "push filling --to given --licence other --with pictures",
    ),
    "give a token of your own with --token, or leave --host": ("serve pictures --host 0.0.0.0", ""),
    "--data needs a folder, got {}; name one that is there": ("studio --data nothing", ""),
    "say where they lie now with --data (in Python": (
        "resume inverse --images 16 --quiet; move photos elsewhere; resume inverse --images 24 --quiet",
        "resume inverse --data elsewhere --images 24 --quiet",
    ),
    "so they are selected at random; fit it longer (--fit)": (
        "sample floats -n 2 --select rejection --fit 16",
        "sample floats -n 2 --npz a.npz",
    ),
    "use --filters none or discriminator, or say where": (
        "swap kinds.npz others.npz; augment classes --to new --per-class 1",
        "augment classes --to new --per-class 1 --filters none;"
        " augment classes --to newer --per-class 1 --data kept.npz",
    ),
    "which loss '{}' does not give; train with loss=non": (
        "augment floats --to new --per-class 1 --filters discriminator",
        "augment floats --to new --per-class 1 --filters none",
    ),
    "so there is nothing to balance; use --per-class": (
        "augment floats --to new --balance",
        "augment floats --to new --per-class 1 --filters none",
    ),
    "(--tile {} is exact)": ("upscale enlarging photos/1.png out --tile 8", ""),
    "has learned with its generator; leave --images out": (
        "encode inverse photos --images 16 --out a.npz",
        "encode inverse photos --out a.npz",
    ),
    "samples; leave --images out, or delete": (
        "encode coded photos --images 16 --out a.npz; encode coded photos --images 32 --out a.npz",
        "encode coded photos --out a.npz",
    ),
    "langevin needs a normal prior": (
        "sample coded -n 2 --select langevin",
        "sample coded -n 2 --select budgeted --npz a.npz",
    ),
    "add --fit 1M to fit it first": (
        "sample pictures -n 2 --select budgeted --npz a.npz",
        "sample pictures -n 2 --select budgeted --npz a.npz --fit 16",
    ),
    " See --help.": ("sample pictures --nothing", ""),
    "and under which --licence, such as": ("push pictures", "push pictures --to handed --licence cc-by-4.0"),
    "sample {} -n {} --grid more.png": (
        f"train gray-28 --data kinds.npz --out a --quiet --set discriminator.width=4 {SHORT}",
        "sample a -n 100 --grid b.png",
    ),
    "sample {} -n 1000 --folder rows": (
        f"train table --data rows.csv --out a --quiet --set discriminator.width=4 {SHORT}",
        "sample a -n 1000 --folder b",
    ),
    "--most-pixels, or data.most_pixels": (
        "upscale enlarging photos/1.png out --most-pixels 10",
        "upscale enlarging photos/1.png out --most-pixels 2000",
    ),
    "name data with --against, or say where those": (
        "swap kinds.npz others.npz; evaluate classes --metrics kernel --features pixels",
        "evaluate classes --metrics kernel --features pixels --data kept.npz;"
        " evaluate classes --metrics kernel --features pixels --against kept.npz",
    ),
    "name more real data of the kind with --against": (
        "evaluate pictures --metrics kernel --features pixels",
        "evaluate pictures --metrics kernel --features pixels --against others",
    ),
    "needs a classifier; take --features classifier": (
        "evaluate classes --metrics inception_score --features pixels",
        "evaluate classes --metrics inception_score --features classifier",
    ),
    "leave --checkpoint and --device out": (
        "sample model.onnx --checkpoint best",
        "sample model.onnx -n 2 --npz a.npz",
    ),
    "is for torch.export.load": ("sample model.pt2 -n 2", "sample model.onnx -n 2 --npz a.npz"),
    "so there is nothing to mix; take the run itself": (
        "upscale model.onnx photos out --mix 0.5",
        "upscale enlarging photos out --mix 0.5",
    ),
    "and not {}; see evenodds {} --help": ("upscale model.onnx photos out", "sample --help"),
    "has learned one way; leave --back out": (
        "translate denoising photos out --back",
        "translate denoising photos out",
    ),
    "take the run itself for --back": (
        "translate translate.onnx photos out --back",
        "translate translate-back.onnx photos out",
    ),
    "holds the way back, and takes no other": (
        "translate translate-back.onnx photos out --back",
        "translate translate-back.onnx photos out",
    ),
    "so none is the best; take --checkpoint last": (
        "sample bare -n 2 --checkpoint best --npz a.npz",
        "sample bare -n 2 --checkpoint last --npz a.npz",
    ),
    "--allow takes names of modules": (
        "sample pictures -n 1 --npz a.npz --allow a/b",
        "sample pictures -n 1 --npz a.npz --allow json",
    ),
    "see: evenodds list settings": ("train gray-28 --data kinds.npz --set batch=x", "list settings"),
    "items that it has not seen, a tenth of the data": (
        "sample few -n 2 --fit 16 --select budgeted",
        "sample few -n 2 --npz a.npz",
    ),
    "--data, or leave --fit out": (
        "swap kinds.npz others.npz; sample plain -n 2 --fit 24 --select budgeted",
        "sample plain -n 2 --fit 24 --select budgeted --data kept.npz --npz a.npz; sample plain -n 2 --npz a.npz",
    ),
    "this run kept none; leave it out of --filters": (
        "augment bare --to new --per-class 1 --filters copies",
        "augment bare --to new --per-class 1 --filters none",
    ),
    "what the generator was trained on is not known; name it": (
        "evaluate floats.npz --against floats.npz --metrics memorisation --features pixels",
        "evaluate floats.npz --against floats.npz --metrics memorisation --features pixels --train floats.npz",
    ),
    "holds no trial; name another folder with --out": ("trial --data kinds.npz --out maps", ""),
    "evenodds resume {} starts it from the beginning": (
        "copy plain a; wipe a/checkpoints; sample a -n 1 --npz a.npz",
        "resume a --quiet; sample a -n 1 --npz a.npz",
    ),
    "accelerator takes settings such as batch=256": (
        f"train gray-28 --data kinds.npz --out a --quiet --set accelerator=foo discriminator.width=4 {SHORT}",
        f"train gray-28 --data kinds.npz --out a --quiet --set accelerator=batch=256 discriminator.width=4 {SHORT}",
    ),
    "say where the data of before lie with --data (in": (
        "swap kinds.npz others.npz; resume plain --images 24 --quiet",
        "resume plain --data kept.npz --images 24 --quiet",
    ),
    "examples of its conditions; say which with --given": (
        "push values --to handed --licence other; pull handed --to pulled; sample pulled -n 1 --npz a.npz",
        "sample pulled -n 1 --npz a.npz --given angle=0.5",
    ),
    "samples are asked for with --given (--with values)": (
        "push values --to handed --licence other",
        "push values --to given --licence other --with values; pull given --to pulled; sample pulled -n 1 --npz a.npz",
    ),
    "{} takes name=number, got": (
        "sample values -n 1 --given angle=x",
        "sample values -n 1 --given angle=0.5 --npz a.npz",
    ),
    "is no log ratio of densities, so it selects no samples": (
        "sample hinged -n 2 --select rejection",
        "sample hinged -n 2 --npz a.npz",
    ),
    "to select samples by; {}leave --select out": (
        "sample distance -n 2 --select rejection",
        "sample distance -n 2 --npz a.npz",
    ),
    "fit one first (--fit 1M), or ": (
        "sample distance -n 2 --select rejection",
        "sample distance -n 2 --select rejection --fit 16 --npz a.npz",
    ),
    "judges items alone, so none is fitted": (
        "sample hinged -n 2 --select rejection --fit 16",
        "sample hinged -n 2 --npz a.npz",
    ),
    "no middle to be drawn to": (
        "sample sphere -n 2 --truncation 0.5",
        "sample sphere -n 2 --select budgeted --npz a.npz; sample plain -n 2 --truncation 0.5 --npz b.npz",
    ),
    "takes {} values; take --how jacobian": (
        "directions style --how weights --out a.png",
        "directions floats --how jacobian --out a.png",
    ),
    "train with --set task.way=projection": (
        "features sphere kinds.npz",
        "features classes kinds.npz",
    ),
    "hands out no features; use one of": (
        "features own kinds.npz --allow own",
        "list networks; features plain kinds.npz",
    ),
    "is code from outside evenodds": (
        "sample own -n 2",
        "sample own -n 2 --npz a.npz --allow own",
    ),
    "the data of a run are read as they were": (
        "evaluate classes --most-pixels 9999 --metrics kernel --features pixels -n 20 --device cpu --out a.json",
        "evaluate classes --metrics kernel --features pixels -n 20 --device cpu --out a.json",
    ),
    "judges an item by its": (
        "evaluate classes --against values.npz --metrics equilibrium --features pixels -n 20 --device cpu --out a.json",
        "evaluate classes --metrics equilibrium --features pixels -n 20 --device cpu --out a.json;"
        "evaluate classes --against others.npz --metrics equilibrium --features pixels -n 20 --device cpu --out a.json",
    ),
    "penalty_weight=auto judges by held-out": (
        f"train gray-28 --data kinds.npz --out a --quiet --set {LONGER}",
        "",
    ),
    "looks at held-out items, of which": (
        "train gray-28 --data kinds.npz --out a --quiet --set balance=rate discriminator.width=4 " + UNJUDGED,
        "train gray-28 --data kinds.npz --out a --quiet --set balance=rate held_out=0.1 discriminator.width=4 " + SHORT,
    ),
    "extra-gradient needs each player": (
        f"train gray-28 --data kinds.npz --out a --quiet --set {EXTRA} discriminator_steps=2",
        f"train gray-28 --data kinds.npz --out b --quiet --set {EXTRA} discriminator_steps=1 generator_steps=1",
    ),
    "held {} {} out, and {} seeds need": (
        "trial --run classes --out a",
        "",
    ),
    "cells are kept in {}": (
        "trial --data rows.csv --label kind --arms weights --classifier logistic --seeds 2 --out a",
        "",
    ),
    "encoder of its players as they are": (
        "export few --answers encode --out a.onnx",
        "",
    ),
    "learned all that it will": ("encode model.onnx photos --images 3", ""),
    "has no generator to refine z by": ("encode model.onnx photos --steps 3", ""),
    "alone, and not fill": ("fill model.onnx photos/1.png --mask mask.png", "sample model.onnx -n 2 --npz a.npz"),
    "have no mean; take the run itself": (
        "segment segment.onnx seg/images out --flips",
        "segment segments seg/images out --flips",
    ),
    "name a file that `evenodds export` wrote": (
        "sample nothing.onnx -n 2",
        "sample model.onnx -n 2 --npz a.npz",
    ),
    "take a file that `evenodds export` wrote": (
        "sample model.onnx -n 2 --select budgeted",
        "",
    ),
    "copy the folder again, or pack the data again": (
        f"pack photos packed; cut packed/evenodds-index.safetensors; train color-32 --data packed --set {SMALL}",
        f"pack photos again; train color-32 --data again --out a --quiet --set {SMALL}",
    ),
    "what padding adds to more than 8 bits": (
        "pack deep packed --size 8 --set data.fit=pad",
        "pack deep packed; pack deep again --size 8 --set data.fit=crop",
    ),
    "set size={}, or pack them again with": (
        "pack seg packed --layout maps --size 16; train segment --data packed --set size=32",
        f"train segment --data packed --out a --quiet --set size=16 {MAPS};"
        f" pack seg again --layout maps --size 32; train segment --data again --out b --quiet --set size=32 {MAPS}",
    ),
    ", or take another one with --checkpoint": (
        "copy twice a; cut a/checkpoints/000000000016/players.safetensors; sample a -n 1 --checkpoint 16",
        "sample a -n 1 --checkpoint 8 --npz a.npz",
    ),
    "your own data:  {} train": (
        f"train ring --out a --quiet --set discriminator.width=4 {SHORT}",
        f"train --data photos --out b --quiet --set {SMALL}",
    ),
    "to be sure that it is this one": ("push pictures --to handed --licence other", ""),
}
"""Commands that are typed in a folder with data and runs of all kinds."""
