"""Write the data of the live figures, and the pictures printed in their place: `make figures`."""

import angles
import breakout
import clinic
import rewind
import seeds
import training
import weights

for figure in (angles, breakout, clinic, seeds, training, weights, rewind):
    figure.main()
